//! A JSON reader for medical data (RFC 8259): numbers keep their source text, errors have a position, doubts are refused.
//!
//! `serde_json` does not serve here: without `arbitrary_precision` it loses digits (1.0 becomes 1), and with it Cargo's
//! feature unification changes how other crates read numbers. Stricter than RFC 8259 where the RFC leaves a choice that
//! has hurt somebody: duplicate names, lone surrogates, anything after the value, and nesting beyond [`MAX_DEPTH`] are
//! refused; so are objects and arrays beyond [`MAX_MEMBERS`] and [`MAX_ITEMS`].
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use std::collections::HashSet;
use std::fmt;

/// Nesting of arrays and objects. FHIR's deepest published examples stay below 30.
pub const MAX_DEPTH: usize = 64;
/// Members of one object. No FHIR type has 200.
pub const MAX_MEMBERS: usize = 4_096;
/// Items of one array; a Bundle with more is NDJSON's work.
pub const MAX_ITEMS: usize = 200_000;
/// Bytes of one string or number: the largest attachment that is read.
pub const MAX_STRING_BYTES: usize = 24 << 20;

/// A JSON value that prints as it was written: members in source order, numbers digit for digit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as its source text.
    Number(String),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, members in source order.
    Object(Vec<(String, Value)>),
}

/// Why a text is not accepted, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{rule} at line {line}, column {column} (byte {byte})")]
pub struct JsonError {
    /// Offset of the offending byte.
    pub byte: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// The rule that broke, in words.
    pub rule: &'static str,
}

/// Reads exactly one JSON value with nothing but white space around it.
///
/// # Errors
/// [`JsonError`] names the rule and the position; it never quotes the text.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let (value, end) = parse_prefix(bytes)?;
    match bytes.iter().skip(end).position(|byte| !is_space(*byte)) {
        None => Ok(value),
        Some(extra) => Err(error_at(bytes, end.saturating_add(extra), "text after the value")),
    }
}

/// Reads one JSON value at the start of `bytes`; also returns the offset just behind it.
///
/// # Errors
/// As [`parse`], but anything may follow the value.
pub fn parse_prefix(bytes: &[u8]) -> Result<(Value, usize), JsonError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| error_at(bytes, error.valid_up_to(), "bytes that are not UTF-8"))?;
    let mut reader = Reader { text, bytes, at: 0, depth: 0 };
    reader.skip_space();
    let value = reader.value().map_err(|rule| error_at(bytes, reader.at, rule))?;
    Ok((value, reader.at))
}

fn error_at(bytes: &[u8], byte: usize, rule: &'static str) -> JsonError {
    let at = super::At::in_bytes(bytes, byte, "");
    JsonError { byte, line: at.line, column: at.column, rule }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

type Rule = &'static str;

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.step();
        }
    }

    fn expect(&mut self, byte: u8, rule: Rule) -> Result<(), Rule> {
        if self.peek() == Some(byte) {
            self.step();
            Ok(())
        } else {
            Err(rule)
        }
    }

    fn value(&mut self) -> Result<Value, Rule> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err("a character that starts no value"),
            None => Err("an end where a value must stand"),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Rule> {
        let end = self.at.saturating_add(word.len());
        if self.bytes.get(self.at..end) == Some(word.as_bytes()) {
            self.at = end;
            Ok(value)
        } else {
            Err("a word that is not true, false or null")
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Rule>) -> Result<Value, Rule> {
        if self.depth >= MAX_DEPTH {
            return Err("more than 64 levels of nesting");
        }
        self.depth = self.depth.saturating_add(1);
        self.step();
        self.skip_space();
        let value = read(self)?;
        self.depth = self.depth.saturating_sub(1);
        Ok(value)
    }

    fn array(&mut self) -> Result<Value, Rule> {
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.step();
            return Ok(Value::Array(items));
        }
        loop {
            if items.len() >= MAX_ITEMS {
                return Err("more than 200000 items in an array");
            }
            items.push(self.value()?);
            self.skip_space();
            if self.peek() == Some(b']') {
                self.step();
                return Ok(Value::Array(items));
            }
            self.expect(b',', "no comma or bracket after an array's item")?;
            self.skip_space();
        }
    }

    fn object(&mut self) -> Result<Value, Rule> {
        let mut members: Vec<(String, Value)> = Vec::new();
        let mut names: HashSet<String> = HashSet::new();
        if self.peek() == Some(b'}') {
            self.step();
            return Ok(Value::Object(members));
        }
        loop {
            if members.len() >= MAX_MEMBERS {
                return Err("more than 4096 members in an object");
            }
            if self.peek() != Some(b'"') {
                return Err("a member whose name is not a string");
            }
            let name_at = self.at;
            let name = self.string()?;
            if !names.insert(name.clone()) {
                self.at = name_at;
                return Err("a duplicate member name");
            }
            self.skip_space();
            self.expect(b':', "no colon after a member's name")?;
            self.skip_space();
            let value = self.value()?;
            members.push((name, value));
            self.skip_space();
            if self.peek() == Some(b'}') {
                self.step();
                return Ok(Value::Object(members));
            }
            self.expect(b',', "no comma or brace after an object's member")?;
            self.skip_space();
        }
    }

    fn number(&mut self) -> Result<Value, Rule> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.step();
        }
        if self.peek() == Some(b'0') {
            self.step();
        } else {
            self.digits("a number without digits")?;
        }
        if self.peek() == Some(b'.') {
            self.step();
            self.digits("a number without digits behind its point")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.step();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.step();
            }
            self.digits("a number without digits in its exponent")?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err("a number that begins with 0");
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if text.len() > MAX_STRING_BYTES {
            return Err("a number above 24 MiB");
        }
        Ok(Value::Number(text.to_owned()))
    }

    fn digits(&mut self, rule: Rule) -> Result<(), Rule> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.step();
        }
        if self.at == start { Err(rule) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<String, Rule> {
        self.step();
        let mut out = String::new();
        loop {
            let run = self.bytes.get(self.at..).unwrap_or_default();
            let plain = run.iter().take_while(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)).count();
            let end = self.at.saturating_add(plain);
            // Both ends stand next to ASCII bytes or at the text's ends, so they are character boundaries.
            out.push_str(self.text.get(self.at..end).unwrap_or_default());
            self.at = end;
            if out.len() > MAX_STRING_BYTES {
                return Err("a string above 24 MiB");
            }
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return Err("a control character inside a string"),
                None => return Err("a string without its closing quote"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Rule> {
        self.step();
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err("an unknown escape"),
        };
        self.step();
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Result<char, Rule> {
        let first = self.hex4()?;
        if let Some(plain) = char::from_u32(first) {
            return Ok(plain);
        }
        let rest = self.bytes.get(self.at..self.at.saturating_add(2));
        if first >= 0xdc00 || rest != Some(b"\\u") {
            return Err("a lone surrogate");
        }
        self.step();
        let second = self.hex4()?;
        let units = [first, second].map(|unit| u16::try_from(unit).unwrap_or(0));
        match char::decode_utf16(units).next() {
            Some(Ok(pair)) => Ok(pair),
            _ => Err("a lone surrogate"),
        }
    }

    /// Reads `uXXXX`, standing on the `u`.
    fn hex4(&mut self) -> Result<u32, Rule> {
        let start = self.at.saturating_add(1);
        let end = start.saturating_add(4);
        let digits = self.text.get(start..end).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
        self.at = if code.is_some() { end } else { self.at };
        code.ok_or("a \\u escape without four hex digits")
    }
}

/// Appends a string as JSON with the escapes of RFC 8785, section 3.2.2.2.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

impl Value {
    /// An object of the given members.
    pub fn object<const N: usize>(members: [(&str, Value); N]) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A string.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// The member `name` of an object; `None` for other values.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The member `name` of an object, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        match self {
            Self::Object(members) => {
                members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The item at `index` of an array.
    pub fn item(&self, index: usize) -> Option<&Value> {
        self.as_array()?.get(index)
    }

    /// Follows a path of member names and array positions: `code.coding.0.system`.
    pub fn at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self, |value, step| match value {
            Self::Array(items) => items.get(step.parse::<usize>().ok()?),
            other => other.get(step),
        })
    }

    /// The string at a path.
    pub fn str_at(&self, path: &str) -> Option<&str> {
        self.at(path)?.as_str()
    }

    /// Sets or replaces a member. Does nothing to a value that is no object.
    pub fn set(&mut self, name: &str, value: Value) {
        if let Some(present) = self.get_mut(name) {
            *present = value;
        } else if let Self::Object(members) = self {
            members.push((name.to_owned(), value));
        }
    }

    /// Appends to the array member `name`, which is made if absent.
    pub fn push(&mut self, name: &str, value: Value) {
        if let Some(Self::Array(items)) = self.get_mut(name) {
            items.push(value);
        } else {
            self.set(name, Self::Array(vec![value]));
        }
    }

    /// Takes a member out of an object.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let Self::Object(members) = self else { return None };
        let index = members.iter().position(|(key, _)| key == name)?;
        Some(members.remove(index).1)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The source text of a number.
    pub fn as_number(&self) -> Option<&str> {
        match self {
            Self::Number(text) => Some(text),
            _ => None,
        }
    }

    /// A truth value.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The items of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members of an object in source order.
    pub fn as_object(&self) -> Option<&[(String, Value)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items of the array member `name`; empty if there is none.
    pub fn items(&self, name: &str) -> &[Value] {
        self.get(name).and_then(Self::as_array).unwrap_or_default()
    }

    /// Appends the value as minified JSON in source order.
    pub fn write_to(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => write_string(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_to(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_string(name, out);
                    out.push(':');
                    value.write_to(out);
                }
                out.push('}');
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write_to(&mut out);
        f.write_str(&out)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

#[cfg(test)]
#[path = "json_test.rs"]
pub(crate) mod tests;
