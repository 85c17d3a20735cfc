use super::*;
use crate::model::json;
use crate::terminology::Terminology;

fn clean(text: &str) -> String {
    deidentify(text, &Known::default(), &Terminology::shipped()).0
}

#[test]
fn records_tell_whom_a_text_names() {
    let patient = json::parse(
        br#"{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2","value":"A-77 41"}],
            "name":[{"family":"Kowalczyk","given":["Hanna"]}],"address":[{"line":["5 Elm Row"],"city":"Wexford"}],
            "telecom":[{"value":"0151 442"}],"gender":"female"}"#,
    )
    .expect("json");
    let known = Known::of([&patient]);
    let terms = Terminology::shipped();
    let (text, removed) = deidentify(
        "hanna kowalczik (H. Kowalczyk's number A7741) of wexford has asthma and a female patient's fever.",
        &known,
        &terms,
    );
    assert_eq!(
        text,
        "[NAME] ([NAME] number [NUMBER]) of [NAME] has asthma and a female patient's fever."
    );
    assert!(removed.len() == 4 && removed.windows(2).all(|p| p[0].range.end <= p[1].range.start));
}

#[test]
fn patterns_are_known_and_medicine_stays() {
    for (text, want) in [
        ("Seen on 03/14/2024 for asthma.", "Seen on [DATE 2024] for asthma."),
        ("On March 5, 2024 he had fever.", "On [DATE 2024] he had fever."),
        ("On 5 March 2024 and in June 2023.", "On [DATE 2024] and in [DATE 2023]."),
        ("Since 2019 diabetes.", "Since 2019 diabetes."),
        ("A 93-year-old man, aged 91.", "A [AGE] man, aged [AGE]."),
        ("A 45-year-old man.", "A 45-year-old man."),
        ("Call 555-123-4567 or (555) 123-4567.", "Call [PHONE] or ([PHONE]) [PHONE]."),
        ("Mail jd@example.org, see https://example.org/a.", "Mail [ADDRESS], see [ADDRESS]."),
        ("MRN: 88231, SSN 123-45-6789.", "MRN: [NUMBER], SSN [PHONE]."),
        ("Lives at 12 Long Meadow Street.", "Lives at [PLACE]."),
        ("Dr. Smith and Mrs. Jane Q. Doe agreed.", "Dr. [NAME] and Mrs. [NAME] agreed."),
        ("BP 120/80, dose 5/10, 98.6 F, 2.5 mg.", "BP 120/80, dose 5/10, 98.6 F, 2.5 mg."),
        ("May have Crohn's disease.", "May have Crohn's disease."),
    ] {
        assert_eq!(clean(text), want, "{text}");
    }
}

/// xorshift64*: the same texts in each run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % most
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// A name that nobody has: two or three syllables.
    fn name(&mut self) -> String {
        const SYLLABLES: [&str; 24] = [
            "Bel", "Kor", "Mi", "Sa", "Ron", "Tav", "Lin", "Dor", "Hes", "Ya", "Pel", "Zub", "ric",
            "ovan", "eski", "andra", "ilda", "umo", "etta", "holm", "wick", "ford", "ley", "shi",
        ];
        let mut out = SYLLABLES[self.below(12)].to_owned();
        out.push_str(SYLLABLES[12 + self.below(12)]);
        if self.below(3) == 0 {
            out.push_str(SYLLABLES[12 + self.below(12)]);
        }
        out
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap_or(0))).collect()
    }
}

/// What is planted, by kind: each value must be gone from the cleaned text.
fn planted(draw: &mut Draw) -> [(&'static str, String); 8] {
    let (month, day, year) = (1 + draw.below(12), 1 + draw.below(28), 1950 + draw.below(75));
    let date = match draw.below(5) {
        0 => format!("{month:02}/{day:02}/{year}"),
        1 => format!("{year}-{month:02}-{day:02}"),
        2 => format!(
            "{} {day}, {year}",
            ["January", "March", "May", "Sept", "December"][draw.below(5)]
        ),
        3 => format!("{day} {} {year}", ["February", "June", "Oct"][draw.below(3)]),
        _ => format!("{day}.{month}.{year}"),
    };
    let phone = match draw.below(3) {
        0 => format!("{}-{}-{}", draw.digits(3), draw.digits(3), draw.digits(4)),
        1 => format!("+1-{}-{}-{}", draw.digits(3), draw.digits(3), draw.digits(4)),
        _ => format!("{}.{}.{}", draw.digits(3), draw.digits(3), draw.digits(4)),
    };
    let person = format!("{} {}", draw.name(), draw.name());
    [
        ("name", person),
        ("doctor", draw.name()),
        ("date", date),
        ("phone", phone),
        ("record number", draw.digits(7)),
        ("mail", format!("{}@example.org", draw.name().to_lowercase())),
        ("street", format!("{} {} Street", 1 + draw.below(999), draw.name())),
        ("age", (90 + draw.below(15)).to_string()),
    ]
}

const FRAMES: [&str; 4] = [
    "{name} was seen by Dr. {doctor} on {date} for asthma and type 2 diabetes. MRN {record number}. Call {phone}. Lives at {street}. A {age}-year-old patient; mail {mail}.",
    "HISTORY: The {age}-year-old patient {name} (record {record number}) denies chest pain. Seen {date}. Phone: {phone}, {mail}. Address: {street}. Signed, Dr. {doctor}.",
    "On {date} Ms. {name} of {street} presented with fever, cough and hypertension. Dr. {doctor} was called at {phone}. Chart {record number}; aged {age}; {mail}.",
    "Assessment: pneumonia, resolved. Dr. {doctor} discussed this with {name} on {date}. Account number {record number}. Fax {phone}. Home: {street}. Email {mail}. The patient is {age} years old.",
];

/// Planted identifiers are found, nearly all of them, by kind; what is removed besides is counted; medicine stays.
#[test]
fn planted_identifiers_are_found() {
    let (terms, known) = (Terminology::shipped(), Known::default());
    let mut draw = Draw(0x6d73_6e65_7400_0007);
    let (mut found, mut all, mut right, mut wrong) = (0usize, 0usize, 0usize, 0usize);
    let (mut medical, mut lost) = (0usize, 0usize);
    let mut missed: Vec<String> = Vec::new();
    for round in 0..1_000 {
        let planted = planted(&mut draw);
        let mut text = draw.of(&FRAMES).to_owned();
        let mut places: Vec<Range<usize>> = Vec::new();
        for (kind, value) in &planted {
            let mark = format!("{{{kind}}}");
            text = text.replace(&mark, value);
        }
        for (_, value) in &planted {
            let at = text.find(value.as_str()).expect("planted");
            places.push(at..at + value.len());
        }
        let (cleaned, removed) = deidentify(&text, &known, &terms);
        for (kind, value) in &planted {
            all += 1;
            let parts: Vec<&str> = match *kind {
                // "Street" says nothing of a person; the day and the name do.
                "street" => value.split(' ').take(2).collect(),
                "date" => value.split([' ', ',']).filter(|p| p.len() != 4 && p.len() > 2).collect(),
                _ => value.split(' ').collect(),
            };
            let words: HashSet<&str> = cleaned
                .split(|c: char| !c.is_alphanumeric() && !matches!(c, '@' | '.' | '-' | '/' | '+'))
                .map(|w| w.trim_matches(['.', '-', '/']))
                .collect();
            if parts.iter().all(|part| !words.contains(part)) {
                found += 1;
            } else if missed.len() < 20 {
                missed.push(format!("{round}: {kind} {value:?} in {cleaned:?}"));
            }
        }
        for part in &removed {
            let is_planted =
                places.iter().any(|p| p.start < part.range.end && part.range.start < p.end);
            if is_planted { right += 1 } else { wrong += 1 }
        }
        let (words, gone) = medical_words_lost(&text, &removed, &terms);
        medical += words;
        lost += gone;
    }
    let said = format!(
        "planted {all}, found {found}; removed {right} of them and {wrong} besides; medical words {medical}, lost {lost}\n{}",
        missed.join("\n")
    );
    assert!(found * 1_000 >= all * 995, "{said}");
    assert!(right * 100 >= (right + wrong) * 95, "{said}");
    assert!(lost * 100 <= medical, "{said}");
}

#[test]
fn any_text_is_cleaned_within_its_bounds() {
    use proptest::prelude::*;
    proptest!(ProptestConfig::with_cases(200), |(text: String, other in "[A-Za-z0-9 .,/@:()'’+-]{0,80}")| {
        for text in [text, other] {
            let (_, removed) = deidentify(&text, &Known::default(), &Terminology::shipped());
            prop_assert!(removed.iter().all(|part| text.get(part.range.clone()).is_some()));
            prop_assert!(removed.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
        }
    });
}
