//! One cell as a value of its element's type: only what the mapping declares, nothing guessed.
use super::RowReader;
use super::mapping::Source;
use crate::model::json::Value;
use crate::standardize::draft::{coding, reference};
use crate::standardize::note::patient_key;
use crate::standardize::time::from_hl7;
use crate::terminology::ucum;
use std::collections::BTreeMap;

impl RowReader<'_> {
    /// A cell as a value of its element's type.
    pub(super) fn convert(
        &self,
        text: &str,
        kind: &str,
        source: &Source,
    ) -> Result<Value, &'static str> {
        let text = match &source.values {
            Some(values) => values.get(text).ok_or("a value that the mapping does not list")?,
            None => text,
        };
        match kind {
            "Quantity" => {
                let mut out = Value::object([("value", self.number(text)?)]);
                let in_row = source.unit_column.as_ref().and_then(|column| self.cell(column));
                let unit = in_row.map(|(_, text)| text).or(source.unit.as_deref());
                if let Some(unit) = unit {
                    out.set("unit", unit.into());
                    if let Some(code) = ucum::code(unit) {
                        out.set("system", "http://unitsofmeasure.org".into());
                        out.set("code", code.into());
                    }
                }
                Ok(out)
            }
            "decimal" => self.number(text),
            "integer" | "positiveInt" | "unsignedInt" => match self.number(text)? {
                Value::Number(digits) if !digits.contains('.') => Ok(Value::Number(digits)),
                _ => Err("not a whole number"),
            },
            "boolean" => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "y" | "yes" => Ok(Value::Bool(true)),
                "false" | "0" | "n" | "no" => Ok(Value::Bool(false)),
                _ => Err("neither true nor false"),
            },
            "date" | "dateTime" | "instant" => self.time(text, kind, source.format.as_deref()),
            "CodeableConcept" => Ok(match &source.system {
                Some(system) => {
                    Value::object([("coding", Value::Array(vec![coding(system, text)]))])
                }
                None => Value::object([("text", text.into())]),
            }),
            "Coding" => Ok(coding(source.system.as_deref().unwrap_or_default(), text)),
            "Identifier" => {
                let mut out = Value::object([("value", text.into())]);
                if let Some(system) = &source.system {
                    out.set("system", system.as_str().into());
                }
                Ok(out)
            }
            "HumanName" => Ok(Value::object([("text", text.into())])),
            "Reference" => Ok(match &source.reference {
                Some(kind) => {
                    let id = patient_key(&self.patient.system, &self.patient.value);
                    reference(&self.drafts.reference(kind, &format!("{id}|{text}")))
                }
                None => Value::object([("display", text.into())]),
            }),
            _ => Ok(text.into()),
        }
    }

    /// Digits with the declared decimal sign; nothing else, so that no separator of thousands is taken for one.
    fn number(&self, text: &str) -> Result<Value, &'static str> {
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
        let (whole, fraction) = match digits.split_once(self.mapping.table.decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (digits, None),
        };
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || fraction.is_some_and(|part| !is_digits(part)) {
            return Err("not a number with the declared decimal sign");
        }
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let fraction = fraction.map(|part| format!(".{part}")).unwrap_or_default();
        Ok(Value::Number(format!("{sign}{whole}{fraction}")))
    }

    fn time(&self, text: &str, kind: &str, format: Option<&str>) -> Result<Value, &'static str> {
        const WRONG: &str =
            "not a time of the declared format; without one only YYYY-MM-DD is read";
        let digits = match format {
            Some(format) => by_format(text, format).ok_or(WRONG)?,
            None => {
                let parts: Vec<&str> = text.split('-').collect();
                let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
                let is_date = matches!(lengths.as_slice(), [4] | [4, 2] | [4, 2, 2])
                    && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
                if !is_date {
                    return Err(WRONG);
                }
                parts.concat()
            }
        };
        let zone = self.mapping.table.zone.as_ref().map(|zone| zone.replace(':', ""));
        let time = from_hl7(&digits, zone.as_deref()).ok_or("no such day or time")?;
        match kind {
            "date" => Ok(time.date().into()),
            "instant" if !time.is_instant() => Err("an instant needs a clock time and table.zone"),
            _ => Ok(time.text.into()),
        }
    }
}

/// The digits of a time in HL7's order; `None` if the text is not of the format.
pub(super) fn by_format(text: &str, format: &str) -> Option<String> {
    let mut parts: BTreeMap<char, String> = BTreeMap::new();
    let mut rest = text;
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            rest = rest.strip_prefix(letter)?;
            continue;
        }
        let name = letters.next()?;
        let most = match name {
            'Y' => 4,
            'm' | 'd' | 'H' | 'M' | 'S' => 2,
            _ => return None,
        };
        let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, behind) = rest.split_at_checked(count)?;
        if digits.is_empty() || name == 'Y' && digits.len() != 4 {
            return None;
        }
        parts.insert(name, format!("{digits:0>most$}"));
        rest = behind;
    }
    if !rest.is_empty() {
        return None;
    }
    let mut out = String::new();
    let mut is_open = true;
    for name in ['Y', 'm', 'd', 'H', 'M', 'S'] {
        match parts.get(&name) {
            Some(digits) if is_open => out.push_str(digits),
            Some(_) => return None,
            None => is_open = false,
        }
    }
    Some(out)
}

pub(super) fn constant_value(constant: &toml::Value, kind: &str) -> Option<Value> {
    let text = match constant {
        toml::Value::String(text) => text.clone(),
        toml::Value::Boolean(truth) => return Some(Value::Bool(*truth)),
        toml::Value::Integer(number) => return Some(Value::Number(number.to_string())),
        toml::Value::Float(number) => return Some(Value::Number(number.to_string())),
        _ => return None,
    };
    Some(match kind {
        "CodeableConcept" => Value::object([("text", text.into())]),
        _ => text.into(),
    })
}
