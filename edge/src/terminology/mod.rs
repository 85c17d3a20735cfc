//! Code systems: what a code is called, which concept we prefer for it, and which concepts a name stands for.
//!
//! Shipped in the binary from `edge/data/vocab` (sources and licences in `edge/data/NOTICE`): Human Disease Ontology,
//! Mondo, Symptom Ontology, ICD-10-CM FY2021 with its inclusion terms, RxNorm ingredients and brands, the LOINC codes seen
//! in public examples, and names that people write in abstracts (`edge/data/keywords`, learnt by `learn.py`).
//! SNOMED CT, CPT and others may not be shipped; their codes pass through unchanged and without a display.
//!
//! Preferred concept: a disease's DOID if the code maps to one, else the code itself; a brand's ingredient.
pub mod lists;
pub mod names;
pub mod normalise;
pub mod ucum;

use lists::List;
use names::Names;
use normalise::Token;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// Human Disease Ontology; codes read `DOID:9352`.
pub const DOID: &str = "http://purl.obolibrary.org/obo/doid.owl";
/// Symptom Ontology; codes read `SYMP:0000613`.
pub const SYMP: &str = "http://purl.obolibrary.org/obo/symp.owl";
/// Mondo Disease Ontology; codes read `MONDO:0005148`.
pub const MONDO: &str = "http://purl.obolibrary.org/obo/mondo.owl";
/// Medical Subject Headings, descriptors and supplementary concepts: `D003924`, `C535331`.
pub const MESH: &str = "http://id.nlm.nih.gov/mesh";
/// Online Mendelian Inheritance in Man.
pub const OMIM: &str = "http://www.omim.org";
/// ICD-10-CM.
pub const ICD10CM: &str = "http://hl7.org/fhir/sid/icd-10-cm";
/// RxNorm.
pub const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
/// LOINC.
pub const LOINC: &str = "http://loinc.org";
/// SNOMED CT: codes only, never a display.
pub const SNOMED: &str = "http://snomed.info/sct";

/// Narrower concepts of one query concept; beyond that the query is too wide to help.
pub const MAX_NARROWER: usize = 256;
/// Steps from a concept to the root of its ontology.
const MAX_ANCESTORS: usize = 64;
/// Names of fewer letters are matched in capitals only.
const SHORT_NAME: usize = 4;

/// How the preferred concept relates to the code it was found for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Equivalence {
    /// The same, or the code itself.
    Equivalent,
    /// The concept is wider than the code.
    Wider,
}

/// A concept of a code system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Concept {
    /// Code system, a URI.
    pub system: String,
    /// Code.
    pub code: String,
    /// Name from the shipped list; empty if the list may not be shipped.
    pub display: String,
    /// How close it is to what was asked for.
    pub equivalence: Equivalence,
}

/// A concept that a name can stand for.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Meaning {
    system: &'static str,
    code: String,
    /// The same disease in MeSH (bare) or OMIM (`OMIM:…`), where a list says so: how abstracts are indexed.
    indexed_as: String,
}

/// What a list says about a name before the names are joined.
struct Name<'a> {
    name: std::borrow::Cow<'a, str>,
    meaning: Meaning,
    capitals: bool,
}

/// The loaded code systems.
#[derive(Debug)]
pub struct Terminology {
    doid: List,
    symp: List,
    icd10cm: List,
    rxnorm: List,
    loinc: List,
    mondo: List,
    inclusion: List,
    /// What the names stand for, by the number that `names` holds.
    meanings: Vec<Meaning>,
    names: Names<u32>,
    /// ICD-10-CM code → DOID.
    icd_to_doid: HashMap<String, String>,
    /// DOID or SYMP code → codes of its parents and children.
    parents: HashMap<String, Vec<String>>,
    children: HashMap<String, Vec<String>>,
}

impl Terminology {
    /// The shipped lists, unpacked once per process.
    pub fn shipped() -> Arc<Self> {
        static SHIPPED: OnceLock<Arc<Terminology>> = OnceLock::new();
        Arc::clone(SHIPPED.get_or_init(|| Arc::new(Self::unpack())))
    }

    fn unpack() -> Self {
        let doid = List::unpack(include_bytes!("../../data/vocab/doid.tsv.gz"));
        let symp = List::unpack(include_bytes!("../../data/vocab/symp.tsv.gz"));
        let icd10cm = List::unpack(include_bytes!("../../data/vocab/icd10cm.tsv.gz"));
        let rxnorm = List::unpack(include_bytes!("../../data/vocab/rxnorm_ingredients.tsv.gz"));
        let loinc = List::unpack(include_bytes!("../../data/vocab/loinc_seen.tsv.gz"));
        let mondo = List::unpack(include_bytes!("../../data/vocab/mondo.tsv.gz"));
        let inclusion =
            List::unpack(include_bytes!("../../data/vocab/icd10cm_inclusion_terms.tsv.gz"));
        let mut out = Self {
            doid,
            symp,
            icd10cm,
            rxnorm,
            loinc,
            mondo,
            inclusion,
            meanings: Vec::new(),
            names: Names::build(std::iter::empty()),
            icd_to_doid: HashMap::new(),
            parents: HashMap::new(),
            children: HashMap::new(),
        };
        out.link_parents();
        out.link_icd();
        out.link_names();
        out
    }

    /// Parents are given by label within the same ontology.
    fn link_parents(&mut self) {
        for list in [&self.doid, &self.symp] {
            let by_label: HashMap<&str, &str> =
                list.rows().filter_map(|row| Some((*row.get(1)?, *row.first()?))).collect();
            for row in list.rows() {
                let [code, _, parents, ..] = row.as_slice() else { continue };
                for parent in parents.split('|').filter_map(|label| by_label.get(label)) {
                    self.parents.entry((*code).into()).or_default().push((*parent).into());
                    self.children.entry((*parent).into()).or_default().push((*code).into());
                }
            }
        }
    }

    /// Of several diseases with the same ICD code the most general one is taken, then the one listed first.
    fn link_icd(&mut self) {
        let mut candidates: HashMap<String, Vec<String>> = HashMap::new();
        for row in self.doid.rows() {
            let [id, _, _, _, xrefs, ..] = row.as_slice() else { continue };
            for code in xrefs.split('|').filter_map(|xref| xref.strip_prefix("ICD10CM:")) {
                candidates.entry(code.into()).or_default().push((*id).into());
            }
        }
        for (code, ids) in candidates {
            let general = ids
                .iter()
                .find(|id| ids.iter().all(|other| other == *id || self.is_under(other, id)));
            let best = general.or(ids.first()).expect("a list entry has one id at least").clone();
            self.icd_to_doid.insert(code, best);
        }
    }

    fn is_under(&self, code: &str, ancestor: &str) -> bool {
        self.climb(code).iter().any(|above| above == ancestor)
    }

    fn climb(&self, code: &str) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut queue: Vec<&str> = vec![code];
        while let Some(parents) = queue.pop().map(|code| self.parents.get(code)) {
            for parent in parents.into_iter().flatten() {
                if out.len() < MAX_ANCESTORS && !out.contains(parent) {
                    out.push(parent.clone());
                    queue.push(parent);
                }
            }
        }
        out
    }

    /// Learnt names, labels and exact synonyms of diseases and symptoms, inclusion terms; names of ingredients, and brands
    /// as their only ingredient. Of lists that name the same, the first counts; what is indexed in MeSH is asked of all.
    fn link_names(&mut self) {
        let mut names: Vec<Name<'_>> = self.learnt_names();
        self.ontology_names(&mut names);
        self.drug_names(&mut names);
        // People leave out the second word: "type 2 diabetes".
        let diabetes: Vec<Name<'_>> = names
            .iter()
            .filter(|name| name.name.contains("diabetes mellitus"))
            .map(|name| Name {
                name: name.name.replace("diabetes mellitus", "diabetes").into(),
                meaning: name.meaning.clone(),
                capitals: false,
            })
            .collect();
        names.extend(diabetes);
        let stopped: HashSet<Vec<String>> = table(STOPPED)
            .filter_map(|row| Some(names::words(row.first()?)))
            // The most general word of an ontology names nothing.
            .chain(GENERAL.iter().map(|name| names::words(name)))
            .collect();
        let mut by_words: HashMap<Vec<String>, usize> = HashMap::new();
        let mut kept: Vec<(Vec<String>, Name<'_>)> = Vec::new();
        for name in names {
            let words = names::words(&name.name);
            if words.is_empty() || stopped.contains(&words) {
                continue;
            }
            match by_words.get(&words) {
                Some(at) => {
                    let first = &mut kept[*at].1;
                    if is_drug(&first.meaning) || is_drug(&name.meaning) {
                        continue;
                    }
                    if first.meaning.indexed_as.is_empty() {
                        first.meaning.indexed_as = name.meaning.indexed_as;
                    }
                    // An ontology's concept is preferred to an index term or a class of a statistic.
                    if !is_ontology(first.meaning.system) && is_ontology(name.meaning.system) {
                        first.meaning.system = name.meaning.system;
                        first.meaning.code = name.meaning.code;
                    }
                }
                None => {
                    by_words.insert(words.clone(), kept.len());
                    kept.push((words, name));
                }
            }
        }
        let mut meanings: Vec<Meaning> = Vec::new();
        let entries: Vec<(Vec<String>, u32, bool)> = kept
            .into_iter()
            .map(|(words, name)| {
                if meanings.last() != Some(&name.meaning) {
                    meanings.push(name.meaning);
                }
                let index = u32::try_from(meanings.len() - 1).expect("fewer than 2^32 concepts");
                (words, index, name.capitals)
            })
            .collect();
        self.names = Names::build_from(entries.into_iter());
        self.meanings = meanings;
    }

    /// Names from annotated abstracts. Their MeSH or OMIM code leads to a disease of the ontologies where one has it.
    fn learnt_names(&self) -> Vec<Name<'static>> {
        let mut by_index: HashMap<String, (&'static str, &str)> = HashMap::new();
        for (system, list, column) in [(DOID, &self.doid, 4), (MONDO, &self.mondo, 3)] {
            for row in list.rows() {
                let (Some(code), Some(xrefs)) = (row.first(), row.get(column)) else { continue };
                for key in indexed(xrefs) {
                    by_index.entry(key).or_insert((system, *code));
                }
            }
        }
        let learnt = table(LEARNT).filter_map(|row| {
            let [name, codes, capitals, ..] = row.as_slice() else { return None };
            let indexed_as = codes.split('|').next().unwrap_or_default().to_owned();
            let first = indexed_as.split('+').next().unwrap_or_default();
            let (system, code) = by_index.get(first).copied().unwrap_or_else(|| {
                first.strip_prefix("OMIM:").map_or((MESH, first), |code| (OMIM, code))
            });
            let meaning = Meaning { system, code: code.to_owned(), indexed_as: indexed_as.clone() };
            Some(Name { name: (*name).into(), meaning, capitals: *capitals == "1" })
        });
        learnt.collect()
    }

    fn ontology_names<'a>(&'a self, names: &mut Vec<Name<'a>>) {
        let mut add = |name: &'a str, system, code: &str, indexed_as: &str| {
            let meaning =
                Meaning { system, code: code.to_owned(), indexed_as: indexed_as.to_owned() };
            names.push(Name { name: name.into(), meaning, capitals: is_short(name) });
        };
        let exact = |synonyms: &'a str| synonyms.split('|').filter_map(|s| s.strip_prefix("E:"));
        for row in self.doid.rows() {
            let [code, label, _, synonyms, xrefs, ..] = row.as_slice() else { continue };
            let key = indexed(xrefs).next().unwrap_or_default();
            std::iter::once(*label)
                .chain(exact(synonyms))
                .for_each(|name| add(name, DOID, code, &key));
        }
        for row in self.mondo.rows() {
            let [code, label, synonyms, xrefs, ..] = row.as_slice() else { continue };
            let key = indexed(xrefs).next().unwrap_or_default();
            // The preferred concept of a disease is the other ontology's, where they agree.
            let doid = xrefs.split('|').find(|xref| xref.starts_with("DOID:"));
            let doid = doid.filter(|id| self.doid.get(id).is_some());
            let (system, code) = doid.map_or((MONDO, *code), |id| (DOID, id));
            let all = std::iter::once(*label).chain(synonyms.split('|').filter(|s| !s.is_empty()));
            all.for_each(|name| add(name, system, code, &key));
        }
        for row in self.inclusion.rows() {
            if let [code, name, ..] = row.as_slice() {
                let preferred = self.icd_to_doid.get(*code);
                let (system, code) = preferred.map_or((ICD10CM, *code), |id| (DOID, id.as_str()));
                add(name, system, code, "");
            }
        }
        for row in self.symp.rows() {
            let [code, label, _, synonyms, ..] = row.as_slice() else { continue };
            std::iter::once(*label)
                .chain(exact(synonyms))
                .for_each(|name| add(name, SYMP, code, ""));
        }
        let labels: HashMap<&str, Meaning> = names
            .iter()
            .rev()
            .filter_map(|name| match &name.name {
                std::borrow::Cow::Borrowed(label) => Some((*label, name.meaning.clone())),
                std::borrow::Cow::Owned(_) => None,
            })
            .collect();
        for row in table(ABBREVIATED) {
            // What can mean two things is left to the document's own definition.
            if let [short, long, "condition" | "symptom", ""] = row.as_slice()
                && let Some(meaning) = labels.get(long).cloned()
            {
                names.push(Name { name: short.to_uppercase().into(), meaning, capitals: true });
            }
        }
    }

    fn drug_names<'a>(&'a self, names: &mut Vec<Name<'a>>) {
        let is_word = |name: &str| name.chars().filter(|c| c.is_alphabetic()).count() > SHORT_NAME;
        for row in self.rxnorm.rows() {
            let [code, kind, name, _, ingredients, ..] = row.as_slice() else { continue };
            let code = match *kind {
                "IN" => *code,
                "BN" if !ingredients.is_empty() && !ingredients.contains('|') => *ingredients,
                _ => continue,
            };
            if is_word(name) {
                let meaning =
                    Meaning { system: RXNORM, code: code.to_owned(), indexed_as: String::new() };
                names.push(Name { name: (*name).into(), meaning, capitals: is_short(name) });
            }
        }
    }

    /// The name of a code in the shipped lists.
    pub fn display(&self, system: &str, code: &str) -> Option<&str> {
        let (list, column) = match system {
            DOID => (&self.doid, 1),
            SYMP => (&self.symp, 1),
            ICD10CM => (&self.icd10cm, 2),
            RXNORM => (&self.rxnorm, 2),
            LOINC => (&self.loinc, 1),
            MONDO => (&self.mondo, 1),
            _ => return None,
        };
        list.get(code)?.get(column).copied().filter(|name| !name.is_empty())
    }

    fn concept(&self, system: &str, code: &str, equivalence: Equivalence) -> Concept {
        let display = self.display(system, code).unwrap_or_default().to_owned();
        Concept { system: system.into(), code: code.into(), display, equivalence }
    }

    /// The concept under which a code is published and found; the code itself where nothing better is known.
    pub fn preferred(&self, system: &str, code: &str) -> Concept {
        match system {
            ICD10CM => {
                let mut prefix = code;
                // Only within the three-character category; a chapter says too little.
                while prefix.trim_end_matches('.').len() >= 3 {
                    let key = prefix.trim_end_matches('.');
                    if let Some(id) = self.icd_to_doid.get(key) {
                        let exact = key == code;
                        let how = if exact { Equivalence::Equivalent } else { Equivalence::Wider };
                        return self.concept(DOID, id, how);
                    }
                    let cut = prefix.char_indices().next_back().map_or(0, |(at, _)| at);
                    prefix = &prefix[..cut];
                }
                self.concept(system, code, Equivalence::Equivalent)
            }
            RXNORM => match self.rxnorm.get(code).as_deref() {
                Some([_, "BN", _, _, ingredient, ..])
                    if !ingredient.is_empty() && !ingredient.contains('|') =>
                {
                    self.concept(RXNORM, ingredient, Equivalence::Wider)
                }
                _ => self.concept(system, code, Equivalence::Equivalent),
            },
            _ => self.concept(system, code, Equivalence::Equivalent),
        }
    }

    /// All concepts above a DOID or SYMP code, nearest first; empty for other systems.
    pub fn ancestors(&self, system: &str, code: &str) -> Vec<String> {
        if matches!(system, DOID | SYMP) { self.climb(code) } else { Vec::new() }
    }

    /// All concepts below a DOID or SYMP code, at most [`MAX_NARROWER`].
    pub fn narrower(&self, system: &str, code: &str) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        if !matches!(system, DOID | SYMP) {
            return out;
        }
        let mut seen = HashSet::from([code.to_owned()]);
        let mut at = 0;
        let mut next = Some(code.to_owned());
        while let Some(code) = next {
            for child in self.children.get(&code).into_iter().flatten() {
                if out.len() < MAX_NARROWER && seen.insert(child.clone()) {
                    out.push(child.clone());
                }
            }
            next = out.get(at).cloned();
            at += 1;
        }
        out
    }

    /// The concepts named in a run of tokens, longest match first, with their range of tokens.
    pub fn find(&self, tokens: &[Token]) -> Vec<(Concept, std::ops::Range<usize>)> {
        let found = self.names.find(tokens).into_iter();
        found.map(|(meaning, range)| (self.meant(meaning), range)).collect()
    }

    /// The longest name that begins with the first token, as a number for [`Terminology::meant`], and its length in words.
    pub(crate) fn longest(
        &self,
        tokens: &[Token],
        is_allowed: impl Fn(usize) -> bool,
    ) -> Option<(u32, usize)> {
        self.names.longest_where(tokens, is_allowed)
    }

    /// The concept that a name stands for.
    pub(crate) fn meant(&self, meaning: u32) -> Concept {
        let Meaning { system, code, .. } = &self.meanings[meaning as usize];
        self.concept(system, code, Equivalence::Equivalent)
    }

    /// The MeSH (bare) or OMIM (`OMIM:…`) code of what a name stands for; empty if no list says.
    pub(crate) fn indexed_as(&self, meaning: u32) -> &str {
        &self.meanings[meaning as usize].indexed_as
    }
}

/// Names learnt from annotated abstracts, and names that were found wrong there (`learn.py`).
const LEARNT: &str = include_str!("../../data/keywords/learned_names.tsv");
const STOPPED: &str = include_str!("../../data/keywords/stop_terms.tsv");
const ABBREVIATED: &str = include_str!("../../data/vocab/abbreviations.tsv");
/// Names of everything.
const GENERAL: [&str; 5] = ["disease", "symptom", "syndrome", "disorder", "disease or disorder"];

/// The rows below the header of a table that was compiled in.
fn table(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().skip(1).map(|line| line.split('\t').collect())
}

/// The MeSH codes among cross references, then the OMIM codes.
fn indexed(xrefs: &str) -> impl Iterator<Item = String> {
    let mesh = xrefs.split('|').filter_map(|xref| xref.strip_prefix("MESH:"));
    let mesh = mesh.filter(|code| code.starts_with(['C', 'D'])).map(str::to_owned);
    let omim = xrefs
        .split('|')
        .filter_map(|xref| xref.strip_prefix("MIM:").or_else(|| xref.strip_prefix("OMIM:")))
        .filter(|code| !code.starts_with("PS"))
        .map(|code| format!("OMIM:{code}"));
    mesh.chain(omim)
}

fn is_ontology(system: &str) -> bool {
    matches!(system, DOID | MONDO | SYMP)
}

fn is_drug(meaning: &Meaning) -> bool {
    meaning.system == RXNORM
}

/// A short name in capitals (an abbreviation) counts in capitals only; a short name of one word always does.
fn is_short(name: &str) -> bool {
    let letters = name.chars().filter(|c| c.is_alphabetic()).count();
    let capitals = name.chars().filter(|c| c.is_alphabetic()).all(char::is_uppercase);
    !name.contains(' ') && (letters < SHORT_NAME || (letters <= SHORT_NAME && capitals))
}

#[cfg(test)]
mod tests {
    use super::normalise::tokens;
    use super::*;

    #[test]
    fn shipped_lists_have_the_rows_their_notice_says() {
        let shipped = Terminology::shipped();
        assert_eq!(shipped.doid.len(), 12_246);
        assert_eq!(shipped.symp.len(), 895);
        assert_eq!(shipped.icd10cm.len(), 95_358);
        assert_eq!(shipped.rxnorm.len(), 7_922);
        assert_eq!(shipped.loinc.len(), 2_213);
    }

    #[test]
    fn codes_lead_to_diseases() {
        let shipped = Terminology::shipped();
        let diabetes = shipped.preferred(ICD10CM, "E11.9");
        assert_eq!(
            (diabetes.code.as_str(), diabetes.equivalence),
            ("DOID:9352", Equivalence::Wider)
        );
        assert_eq!(diabetes.display, "type 2 diabetes mellitus");
        assert_eq!(shipped.preferred(ICD10CM, "I21.9").code, "DOID:5844");
        let snomed = shipped.preferred(SNOMED, "44054006");
        assert_eq!((snomed.code.as_str(), snomed.display.as_str()), ("44054006", ""));
        assert_eq!(shipped.preferred(ICD10CM, "é").code, "é");
    }

    #[test]
    fn names_lead_to_concepts() {
        let shipped = Terminology::shipped();
        let find =
            |text| shipped.find(&tokens(text)).into_iter().map(|(c, _)| c.code).collect::<Vec<_>>();
        assert_eq!(find("a heart attack"), ["DOID:5844"]);
        assert_eq!(find("Type II Diabetes Mellitus"), ["DOID:9352"]);
        assert!(find("metformin").iter().all(|code| code == "6809"));
    }

    #[test]
    fn up_and_down() {
        let shipped = Terminology::shipped();
        assert!(shipped.ancestors(DOID, "DOID:9408").contains(&"DOID:5844".to_owned()));
        assert!(shipped.narrower(DOID, "DOID:5844").contains(&"DOID:9408".to_owned()));
        assert!(shipped.narrower(DOID, "DOID:4").len() <= MAX_NARROWER);
        assert!(shipped.ancestors(LOINC, "4548-4").is_empty());
    }
}
