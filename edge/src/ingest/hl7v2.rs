//! HL7 v2 in ER7 encoding (HL7 v2.9, chapter 2): our own parser, zero-copy.
//!
//! A message is its bytes and the byte ranges of its segments; a [`Node`] is a range at a level (field, repetition,
//! component, subcomponent) that is cut only when somebody looks. What a value says is decoded by [`Node::text`].
//!
//! Separators come from MSH-1 and MSH-2. Segments end with CR, LF or CRLF. Bad lines are kept raw with an issue, unknown
//! and Z segments are kept. `""` is null ("delete what you have"), empty is "not said". Character set from MSH-18
//! ([`charset`]): UTF-8 by default; bytes that do not decode are read as windows-1252 with an issue. A message in a set
//! whose second bytes can look like separators is made [`readable`] first.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
pub mod charset;

use crate::model::{At, Issue, Severity};
use charset::Charset;
pub use charset::{Readable, readable};
use std::borrow::Cow;
use std::ops::Range;

/// Segments of one message.
pub const MAX_SEGMENTS: usize = 20_000;
/// Fields of one segment.
pub const MAX_FIELDS: usize = 1_024;
/// Repetitions of one field.
pub const MAX_REPETITIONS: usize = 20_000;
/// Components of one repetition, subcomponents included.
pub const MAX_COMPONENTS: usize = 8_192;
/// Bytes of one field: a scanned letter.
pub const MAX_FIELD_BYTES: usize = 24 << 20;

/// The separators of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delimiters {
    /// MSH-1, usually `|`.
    pub field: u8,
    /// First of MSH-2, usually `^`.
    pub component: u8,
    /// Second, usually `~`.
    pub repetition: u8,
    /// Third, usually `\`.
    pub escape: u8,
    /// Fourth, usually `&`.
    pub subcomponent: u8,
}

/// One segment: its name and where it stands, terminator excluded.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    name: [u8; 3],
    range: Range<usize>,
}

/// A parsed message.
#[derive(Clone)]
pub struct Message<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
    charset: &'static encoding_rs::Encoding,
    /// The set that the whole message was decoded from, before it was cut.
    recoded: Option<&'static encoding_rs::Encoding>,
    lines: Vec<Line>,
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("segments", &self.lines.len()).finish_non_exhaustive()
    }
}

/// One segment of a message.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    message: &'a Message<'a>,
    line: &'a Line,
    /// Position in the message, from 0.
    pub index: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Level {
    Field,
    Repetition,
    Component,
    Subcomponent,
}

/// A part of a message. Parts that are not there are empty nodes, so that reading never fails.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    message: &'a Message<'a>,
    start: usize,
    end: usize,
    level: Level,
}

/// Cuts what a source sent into messages: FHS, BHS, BTS and FTS are an envelope, each MSH begins a message.
///
/// # Errors
/// A fatal issue if there is no MSH segment.
pub fn split<'a>(bytes: &'a [u8], issues: &mut Vec<Issue>) -> Result<Vec<&'a [u8]>, Issue> {
    let mut messages = Vec::new();
    let mut open: Option<usize> = None;
    let mut counts = Vec::new();
    for range in lines(bytes) {
        let line = bytes.get(range.clone()).unwrap_or_default();
        let name = line.get(..3).unwrap_or_default();
        if !matches!(name, b"MSH" | b"FHS" | b"BHS" | b"BTS" | b"FTS") {
            continue;
        }
        if let Some(start) = open.take() {
            messages.extend(bytes.get(start..range.start));
        }
        match name {
            b"MSH" => open = Some(range.start),
            b"BTS" => counts.push((range.start, line)),
            _ => {}
        }
    }
    if let Some(start) = open {
        messages.extend(bytes.get(start..));
    }
    if messages.is_empty() {
        let text = "no MSH segment";
        return Err(Issue::new(Severity::Fatal, "structure", "hl7v2-msh", At::default(), text));
    }
    for (at, line) in counts {
        let declared = line.get(4..).unwrap_or_default();
        let digits: String =
            declared.iter().take_while(|b| b.is_ascii_digit()).map(|b| char::from(*b)).collect();
        if digits.parse::<usize>().is_ok_and(|count| count != messages.len()) {
            let at = At::in_bytes(bytes, at, "BTS-1");
            let text = "the batch trailer counts other messages than the batch holds";
            issues.push(Issue::new(Severity::Warning, "structure", "hl7v2-batch-count", at, text));
        }
    }
    Ok(messages)
}

/// Byte ranges of the non-empty lines: terminators CR, LF or both.
fn lines(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut start = 0;
    let ends = memchr::memchr2_iter(b'\r', b'\n', bytes).chain(std::iter::once(bytes.len()));
    for end in ends {
        if end > start {
            out.push(start..end);
        }
        start = end.saturating_add(1);
    }
    out
}

impl<'a> Message<'a> {
    /// Parses one message.
    ///
    /// # Errors
    /// A fatal issue with its position: no or broken MSH, separators that are not distinct punctuation, no message type,
    /// a character set that cannot be cut safely, or a limit. Smaller problems are returned beside the message.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, Vec<Issue>), Issue> {
        Self::parse_as(bytes, None)
    }

    /// As [`Message::parse`], of a message in any character set.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn of(readable: &'a Readable<'_>) -> Result<(Self, Vec<Issue>), Issue> {
        Self::parse_as(&readable.bytes, readable.recoded)
    }

    fn parse_as(
        bytes: &'a [u8],
        recoded: Option<&'static encoding_rs::Encoding>,
    ) -> Result<(Self, Vec<Issue>), Issue> {
        let fatal = |byte, code, rule, path: &str, text: &str| {
            Issue::new(Severity::Fatal, code, rule, At::in_bytes(bytes, byte, path), text)
        };
        let mut issues = Vec::new();
        let ranges = lines(bytes);
        if ranges.len() > MAX_SEGMENTS {
            return Err(super::too_long(At::path("segments"), MAX_SEGMENTS));
        }
        let header = ranges.first().and_then(|range| bytes.get(range.clone())).unwrap_or_default();
        let header_at = ranges.first().map_or(0, |range| range.start);
        if !header.starts_with(b"MSH") {
            return Err(fatal(
                header_at,
                "structure",
                "hl7v2-msh",
                "",
                "the first segment is not MSH",
            ));
        }
        let delimiters = read_delimiters(header)
            .map_err(|text| fatal(header_at, "structure", "hl7v2-separators", "MSH-1", text))?;
        let mut message =
            Message { bytes, delimiters, charset: encoding_rs::UTF_8, recoded, lines: Vec::new() };
        for range in ranges {
            message.add_line(range, &mut issues)?;
        }
        message.note_terminators(&mut issues);
        message.read_charset(&mut issues)?;
        let Some(msh) = message.segment("MSH") else {
            return Err(fatal(0, "structure", "hl7v2-msh", "", "no MSH segment"));
        };
        if !msh.field(9).component(1).is_valued() {
            let at = msh.field(9).start;
            return Err(fatal(at, "required", "hl7v2-message-type", "MSH-9", "no message type"));
        }
        Ok((message, issues))
    }

    fn add_line(&mut self, range: Range<usize>, issues: &mut Vec<Issue>) -> Result<(), Issue> {
        let line = self.bytes.get(range.clone()).unwrap_or_default();
        let at = || At::in_bytes(self.bytes, range.start, format!("segment {}", self.lines.len()));
        let fields = memchr::memchr_iter(self.delimiters.field, line);
        if fields.count() > MAX_FIELDS {
            return Err(super::too_long(at(), MAX_FIELDS));
        }
        for field in line.split(|byte| *byte == self.delimiters.field) {
            if field.len() > MAX_FIELD_BYTES {
                return Err(super::too_long(at(), MAX_FIELD_BYTES));
            }
            if memchr::memchr_iter(self.delimiters.repetition, field).count() > MAX_REPETITIONS {
                return Err(super::too_long(at(), MAX_REPETITIONS));
            }
            for repetition in field.split(|byte| *byte == self.delimiters.repetition) {
                let Delimiters { component, subcomponent, .. } = self.delimiters;
                let parts = memchr::memchr2_iter(component, subcomponent, repetition).count();
                if parts > MAX_COMPONENTS {
                    return Err(super::too_long(at(), MAX_COMPONENTS));
                }
            }
        }
        let name = match line {
            [a, b, c, rest @ ..]
                if rest.first().is_none_or(|byte| *byte == self.delimiters.field) =>
            {
                Some([*a, *b, *c])
            }
            _ => None,
        };
        let is_name = |name: &[u8; 3]| {
            let [first, rest @ ..] = name;
            first.is_ascii_uppercase()
                && rest.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        let Some(name) = name.filter(is_name) else {
            let text = "not a segment; the line is kept in the original only";
            issues.push(Issue::new(Severity::Error, "structure", "hl7v2-segment-name", at(), text));
            // Kept under a name nobody asks for, so that its leaves are counted.
            self.lines.push(Line { name: *b"???", range });
            return Ok(());
        };
        self.lines.push(Line { name, range });
        Ok(())
    }

    fn note_terminators(&self, issues: &mut Vec<Issue>) {
        let crlf = memchr::memmem::find_iter(self.bytes, b"\r\n").count();
        let cr = memchr::memchr_iter(b'\r', self.bytes).count().saturating_sub(crlf);
        let lf = memchr::memchr_iter(b'\n', self.bytes).count().saturating_sub(crlf);
        if [crlf, cr, lf].iter().filter(|count| **count > 0).count() > 1 {
            let text = "segments end in different ways; CR, LF and CRLF were all taken as ends";
            issues.push(Issue::new(
                Severity::Warning,
                "structure",
                "hl7v2-terminators",
                At::default(),
                text,
            ));
        }
    }

    fn read_charset(&mut self, issues: &mut Vec<Issue>) -> Result<(), Issue> {
        if self.recoded.is_some() {
            return Ok(());
        }
        let declared = self.segment("MSH").map(|msh| msh.field(18).raw().to_vec());
        let declared = declared.unwrap_or_default();
        let mut default = None;
        for name in declared.split(|byte| *byte == self.delimiters.repetition) {
            let at = At::path("MSH-18");
            match charset::named(name) {
                Some(Charset::InPlace(encoding)) => _ = default.get_or_insert(encoding),
                Some(Charset::Whole(_)) | Some(Charset::Refused) => {
                    let text = "this character set cannot be read safely; send UTF-8";
                    let rule = "hl7v2-charset";
                    return Err(Issue::new(Severity::Fatal, "not-supported", rule, at, text));
                }
                None => {
                    let text = "not a character set of table 0211; read as UTF-8";
                    issues.push(Issue::new(Severity::Warning, "value", "hl7v2-charset", at, text));
                }
            }
        }
        self.charset = default.unwrap_or(encoding_rs::UTF_8);
        Ok(())
    }

    /// The segments in order.
    pub fn segments(&'a self) -> impl Iterator<Item = Segment<'a>> {
        self.lines.iter().enumerate().map(|(index, line)| Segment { message: self, line, index })
    }

    /// The first segment of a name.
    pub fn segment(&'a self, name: &str) -> Option<Segment<'a>> {
        self.segments().find(|segment| segment.line.name == *name.as_bytes())
    }

    /// Every non-empty leaf (subcomponent) with its position; MSH-1 and MSH-2 are one leaf each.
    pub fn leaves(&'a self) -> Vec<Range<usize>> {
        let Delimiters { field, repetition, component, subcomponent, .. } = self.delimiters;
        let mut out = Vec::new();
        for line in &self.lines {
            let is_header = line.name == *b"MSH";
            let mut start =
                line.range.start.saturating_add(if line.name == *b"???" { 0 } else { 3 });
            if is_header {
                out.push(start..start.saturating_add(1));
                start = start.saturating_add(1);
            }
            let mut index = 0usize;
            let bytes = self.bytes.get(start..line.range.end).unwrap_or_default();
            for part in bytes.split(|byte| *byte == field) {
                // MSH-2 holds the separators themselves and is not cut by them.
                let is_separators = is_header && index == 0;
                let mut leaf_at = start;
                let is_cut = |b: &u8| {
                    !is_separators && (*b == repetition || *b == component || *b == subcomponent)
                };
                for leaf in part.split(is_cut) {
                    if !leaf.is_empty() {
                        out.push(leaf_at..leaf_at.saturating_add(leaf.len()));
                    }
                    leaf_at = leaf_at.saturating_add(leaf.len()).saturating_add(1);
                }
                start = start.saturating_add(part.len()).saturating_add(1);
                index = index.saturating_add(1);
            }
        }
        out
    }

    /// The path of what stands at a byte: `PID[1]-3[2].4.1`; numbers that would be 1 are left out after the field.
    pub fn path_at(&self, byte: usize) -> String {
        let at = self.lines.partition_point(|line| line.range.end <= byte);
        let Some(line) = self.lines.get(at) else { return String::new() };
        let same = self.lines.iter().take(at).filter(|other| other.name == line.name).count();
        let name = std::str::from_utf8(&line.name).unwrap_or("???");
        let Delimiters { field, repetition, component, subcomponent, .. } = self.delimiters;
        let until = |from: usize| self.bytes.get(from..byte).unwrap_or_default();
        let count = |from, mark| memchr::memchr_iter(mark, until(from)).count();
        // Where the part that holds the byte begins, one level after the other.
        let last = |from: usize, mark| {
            memchr::memrchr(mark, until(from))
                .map_or(from, |index| from.saturating_add(index).saturating_add(1))
        };
        let start = line.range.start;
        let fields = count(start, field);
        let is_header = matches!(&line.name, b"MSH" | b"FHS" | b"BHS");
        let number = if is_header { fields.saturating_add(1) } else { fields };
        let mut out = format!("{name}[{}]-{number}", same.saturating_add(1));
        if is_header && number <= 2 {
            return out;
        }
        let in_field = last(start, field);
        let in_repetition = last(in_field, repetition);
        let in_component = last(in_repetition, component);
        let repetitions = count(in_field, repetition).saturating_add(1);
        let components = count(in_repetition, component).saturating_add(1);
        let subcomponents = count(in_component, subcomponent).saturating_add(1);
        if repetitions > 1 {
            out.push_str(&format!("[{repetitions}]"));
        }
        if components > 1 || subcomponents > 1 {
            out.push_str(&format!(".{components}"));
        }
        if subcomponents > 1 {
            out.push_str(&format!(".{subcomponents}"));
        }
        out
    }

    /// The bytes of the message.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn delimiter(&self, level: Level) -> u8 {
        match level {
            Level::Field => self.delimiters.repetition,
            Level::Repetition => self.delimiters.component,
            Level::Component | Level::Subcomponent => self.delimiters.subcomponent,
        }
    }
}

/// The fields of a header segment (`MSH` itself first) and the separators; `None` if it is not one.
pub(crate) fn header(bytes: &[u8]) -> Option<(Delimiters, Vec<&[u8]>)> {
    let end = memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
    let line = bytes.get(..end).filter(|line| line.starts_with(b"MSH"))?;
    let delimiters = read_delimiters(line).ok()?;
    let fields = line.split(|byte| *byte == delimiters.field).take(MAX_FIELDS).collect();
    Some((delimiters, fields))
}

/// MSH-10 as it was sent, if there is one.
pub(crate) fn control_id(bytes: &[u8]) -> Option<&[u8]> {
    let (_, fields) = header(bytes)?;
    fields.get(9).copied().filter(|id| !id.is_empty())
}

/// MSH-1 and MSH-2: four or five distinct ASCII punctuation characters behind the field separator.
fn read_delimiters(header: &[u8]) -> Result<Delimiters, &'static str> {
    let [field, rest @ ..] = header.get(3..).unwrap_or_default() else {
        return Err("no field separator");
    };
    let encoding = rest.split(|byte| byte == field).next().unwrap_or_default();
    let ([component, repetition, escape, subcomponent]
    | [component, repetition, escape, subcomponent, _]) = encoding
    else {
        return Err("not four or five encoding characters");
    };
    let mut all = vec![*field];
    all.extend_from_slice(encoding);
    let distinct = all.iter().all(|byte| all.iter().filter(|other| *other == byte).count() == 1);
    if !distinct || !all.iter().all(u8::is_ascii_punctuation) {
        return Err("separators that are not distinct punctuation");
    }
    Ok(Delimiters {
        field: *field,
        component: *component,
        repetition: *repetition,
        escape: *escape,
        subcomponent: *subcomponent,
    })
}

impl<'a> Segment<'a> {
    /// The segment's name, `???` for a line without one.
    pub fn name(&self) -> &'a str {
        std::str::from_utf8(&self.line.name).unwrap_or("???")
    }

    /// Field `number` as the standard counts it; MSH-1 is the separator.
    pub fn field(&self, number: usize) -> Node<'a> {
        let is_header = matches!(&self.line.name, b"MSH" | b"FHS" | b"BHS");
        let skip = if is_header { number.saturating_sub(1) } else { number };
        let empty = self.message.empty(self.line.range.end);
        if number == 0 || skip == 0 {
            return empty;
        }
        let line = self.message.bytes.get(self.line.range.clone()).unwrap_or_default();
        let mut start = 0usize;
        for _ in 0..skip {
            let rest = line.get(start..).unwrap_or_default();
            match memchr::memchr(self.message.delimiters.field, rest) {
                Some(at) => start = start.saturating_add(at).saturating_add(1),
                None => return empty,
            }
        }
        let rest = line.get(start..).unwrap_or_default();
        let length = memchr::memchr(self.message.delimiters.field, rest).unwrap_or(rest.len());
        let start = self.line.range.start.saturating_add(start);
        Node {
            message: self.message,
            start,
            end: start.saturating_add(length),
            level: Level::Field,
        }
    }

    /// Where the segment stands.
    pub fn range(&self) -> Range<usize> {
        self.line.range.clone()
    }
}

impl<'a> Message<'a> {
    fn empty(&'a self, at: usize) -> Node<'a> {
        Node { message: self, start: at, end: at, level: Level::Field }
    }
}

impl<'a> Node<'a> {
    fn child_level(self) -> Level {
        match self.level {
            Level::Field => Level::Repetition,
            Level::Repetition => Level::Component,
            Level::Component | Level::Subcomponent => Level::Subcomponent,
        }
    }

    fn part(self, number: usize) -> Node<'a> {
        self.parts().nth(number.saturating_sub(1)).unwrap_or(Node { start: self.end, ..self })
    }

    fn parts(self) -> impl Iterator<Item = Node<'a>> {
        let delimiter = self.message.delimiter(self.level);
        let level = self.child_level();
        let mut at = self.start;
        self.raw().split(move |byte| *byte == delimiter).map(move |part| {
            let start = at;
            let end = start.saturating_add(part.len());
            at = end.saturating_add(1);
            Node { message: self.message, start, end, level }
        })
    }

    /// The repetitions of a field that say something.
    pub fn repetitions(self) -> impl Iterator<Item = Node<'a>> {
        self.parts().filter(|part| part.is_valued())
    }

    /// Component `number` (from 1) of a repetition; of a field's first repetition.
    pub fn component(self, number: usize) -> Node<'a> {
        match self.level {
            Level::Field => self.part(1).part(number),
            Level::Repetition => self.part(number),
            Level::Component | Level::Subcomponent if number == 1 => self,
            Level::Component | Level::Subcomponent => Node { start: self.end, ..self },
        }
    }

    /// Subcomponent `number` (from 1) of a component.
    pub fn subcomponent(self, number: usize) -> Node<'a> {
        self.part(number)
    }

    /// The bytes as sent.
    pub fn raw(self) -> &'a [u8] {
        self.message.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Where the node stands in the message.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether there is a value: not empty, not null, not separators alone.
    pub fn is_valued(self) -> bool {
        let Delimiters { component, repetition, subcomponent, .. } = self.message.delimiters;
        !self.is_null()
            && self.raw().iter().any(|b| *b != component && *b != repetition && *b != subcomponent)
    }

    /// Whether the value is `""`: delete what is stored.
    pub fn is_null(self) -> bool {
        self.raw() == b"\"\""
    }

    /// The value as text: character set decoded, escapes resolved; `None` if there is none.
    ///
    /// Problems (undecodable bytes, unknown or open escapes, NUL) are pushed to `issues` with this node's position.
    pub fn text(self, issues: &mut Vec<Issue>) -> Option<String> {
        if !self.is_valued() {
            return None;
        }
        let mut problem = |severity, rule, text: &str| {
            let at = At::in_bytes(self.message.bytes, self.start, "");
            issues.push(Issue::new(severity, "value", rule, at, text));
        };
        let (bytes, escapes_ok) = self.unescape();
        if !escapes_ok {
            problem(
                Severity::Warning,
                "hl7v2-escape",
                "an escape that means nothing, kept as it stands",
            );
        }
        let text = match self
            .message
            .charset
            .decode_without_bom_handling_and_without_replacement(&bytes)
        {
            Some(text) => text,
            None => {
                let text = "bytes outside of the declared character set, read as windows-1252";
                problem(Severity::Error, "hl7v2-charset", text);
                encoding_rs::WINDOWS_1252.decode_without_bom_handling(&bytes).0
            }
        };
        if self.message.recoded.is_some() && text.contains(char::REPLACEMENT_CHARACTER) {
            let text = "bytes outside of the declared character set, replaced by U+FFFD";
            problem(Severity::Error, "hl7v2-charset", text);
        }
        if text.chars().any(is_bidi_or_invisible) {
            problem(Severity::Warning, "hl7v2-bidi", "invisible or direction-changing characters");
        }
        let clean: String =
            text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).collect();
        if clean.len() != text.len() {
            problem(Severity::Warning, "hl7v2-control", "control characters were removed");
        }
        let trimmed = clean.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    /// Resolves escapes; `false` if some were unknown, odd or open and stayed literal.
    fn unescape(self) -> (Cow<'a, [u8]>, bool) {
        let raw = self.raw();
        let Delimiters { field, component, repetition, escape, subcomponent } =
            self.message.delimiters;
        if memchr::memchr(escape, raw).is_none() {
            return (Cow::Borrowed(raw), true);
        }
        let mut out = Vec::with_capacity(raw.len());
        let mut ok = true;
        let mut rest = raw;
        while let Some(at) = memchr::memchr(escape, rest) {
            let (plain, from) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            out.extend_from_slice(plain);
            let inner = from.get(1..).unwrap_or_default();
            let Some(end) = memchr::memchr(escape, inner) else {
                ok = false;
                out.extend_from_slice(from);
                rest = &[];
                break;
            };
            let code = inner.get(..end).unwrap_or_default();
            let whole = from.get(..end.saturating_add(2)).unwrap_or_default();
            match code {
                b"F" => out.push(field),
                b"S" => out.push(component),
                b"T" => out.push(subcomponent),
                b"R" => out.push(repetition),
                b"E" => out.push(escape),
                b"P" => out.push(b'#'),
                b"H" | b"N" => {}
                b".br" => out.push(b'\n'),
                [b'X', hex @ ..] => match unhex(hex) {
                    // Escaped bytes are of the set that the message was sent in.
                    Some(bytes) => match self.message.recoded {
                        Some(sent) => {
                            out.extend(sent.decode_without_bom_handling(&bytes).0.as_bytes());
                        }
                        None => out.extend(bytes),
                    },
                    None => {
                        ok = false;
                        out.extend_from_slice(whole);
                    }
                },
                [b'.', b's', b'p', ..] => out.push(b'\n'),
                [b'.', b's', b'k', ..] => out.push(b' '),
                [b'.', b'i' | b't', _, ..] | b".fi" | b".nf" | b".ce" => {}
                _ => {
                    ok = false;
                    out.extend_from_slice(whole);
                }
            }
            rest = inner.get(end.saturating_add(1)..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        (Cow::Owned(out), ok)
    }
}

/// Characters that change how text around them is shown, or that cannot be seen.
pub(crate) fn is_bidi_or_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn unhex(hex: &[u8]) -> Option<Vec<u8>> {
    if hex.is_empty() || !hex.len().is_multiple_of(2) {
        return None;
    }
    hex.chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
#[path = "hl7v2_test.rs"]
mod tests;
