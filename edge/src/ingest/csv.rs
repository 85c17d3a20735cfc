//! CSV (RFC 4180): own reader, whose rows know their line. What the columns mean is said by a mapping file
//! ([`crate::standardize::csv`]); separator and encoding are declared there, never guessed.
//!
//! A header with one name twice, too many columns, or a quote that never closes are fatal. A row of another length, with a
//! NUL or over a limit is an issue of its own, and no cell of it is read: shifted columns are worse than missing ones.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use crate::model::{At, Issue, Severity};
use std::ops::Range;

/// Columns of one table.
pub const MAX_COLUMNS: usize = 2_000;
/// Bytes of one row.
pub const MAX_ROW_BYTES: usize = 4 << 20;
/// Bytes of one field.
pub const MAX_FIELD_BYTES: usize = 1 << 20;

/// One row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its first line in the file, from 1.
    pub line: usize,
    /// Its bytes in the text, line end excluded.
    pub range: Range<usize>,
    /// Its cells, unquoted.
    pub cells: Vec<String>,
}

/// A table: its header and its good rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Names of the columns.
    pub header: Row,
    /// Rows as long as the header.
    pub rows: Vec<Row>,
    /// Rows that are not read, and why, in order.
    pub refused: Vec<Issue>,
}

/// The text of a file in its declared encoding, without a byte-order mark.
///
/// # Errors
/// A fatal issue if the encoding is not known or the bytes are not of it.
pub fn decode(bytes: &[u8], encoding: &str) -> Result<String, Issue> {
    let fatal =
        |text: &str| Issue::new(Severity::Fatal, "value", "csv-encoding", At::default(), text);
    let known = encoding_rs::Encoding::for_label(encoding.as_bytes());
    let known = known.ok_or_else(|| fatal("the declared encoding is not known"))?;
    let (text, _, has_errors) = known.decode(bytes);
    if has_errors {
        return Err(fatal("bytes that are not of the declared encoding"));
    }
    Ok(text.into_owned())
}

/// Reads a table.
///
/// # Errors
/// A fatal issue with its line: nothing there, too many columns, a name twice or none, an open quote.
pub fn read(text: &str, delimiter: char) -> Result<Table, Issue> {
    let fatal = |line: usize, rule, why: &str| {
        Issue::new(Severity::Fatal, "structure", rule, at_row(line, ""), why)
    };
    let mut rows = rows(text, delimiter)?.into_iter();
    let header = rows.next().ok_or_else(|| fatal(1, "csv-empty", "no header line"))?;
    if header.cells.len() > MAX_COLUMNS {
        return Err(super::too_long(at_row(header.line, ""), MAX_COLUMNS));
    }
    let names: std::collections::HashSet<&str> =
        header.cells.iter().map(|name| name.trim()).collect();
    if names.len() != header.cells.len() || names.contains("") {
        return Err(fatal(header.line, "csv-header", "a column without a name, or a name twice"));
    }
    let (mut good, mut refused) = (Vec::new(), Vec::new());
    for row in rows {
        let why = if row.range.len() > MAX_ROW_BYTES {
            Some("the row is too long")
        } else if row.cells.len() != header.cells.len() {
            Some("another number of cells than the header has")
        } else if row.cells.iter().any(|cell| cell.len() > MAX_FIELD_BYTES) {
            Some("a cell is too long")
        } else if row.cells.iter().any(|cell| cell.contains('\0')) {
            Some("a NUL in a cell")
        } else {
            None
        };
        match why {
            Some(why) => refused.push(Issue::new(
                Severity::Error,
                "structure",
                "csv-row",
                at_row(row.line, ""),
                why,
            )),
            None => good.push(row),
        }
    }
    Ok(Table { header, rows: good, refused })
}

/// `row 17, column "dob"`, counted in lines of the file.
pub fn at_row(line: usize, column: &str) -> At {
    let path = match column {
        "" => format!("row {line}"),
        name => format!("row {line}, column {name:?}"),
    };
    At { line, column: 1, ..At::path(path) }
}

/// All non-empty rows, whatever their length.
fn rows(text: &str, delimiter: char) -> Result<Vec<Row>, Issue> {
    let mut out = Vec::new();
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let (mut line, mut first_line, mut start) = (1_usize, 1_usize, 0_usize);
    let (mut in_quotes, mut was_quoted) = (false, false);
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let is_next =
            |wanted: char, letters: &mut std::iter::Peekable<std::str::CharIndices<'_>>| {
                letters.peek().is_some_and(|(_, next)| *next == wanted)
            };
        match letter {
            '"' if in_quotes && is_next('"', &mut letters) => {
                letters.next();
                cell.push('"');
            }
            '"' if in_quotes => in_quotes = false,
            '"' if cell.is_empty() && !was_quoted => {
                in_quotes = true;
                was_quoted = true;
            }
            '\r' | '\n' => {
                let is_pair = letter == '\r' && is_next('\n', &mut letters);
                if is_pair {
                    letters.next();
                }
                line = line.saturating_add(1);
                if in_quotes {
                    cell.push('\n');
                    continue;
                }
                cells.push(std::mem::take(&mut cell));
                was_quoted = false;
                push(&mut out, first_line, start..at, &mut cells);
                first_line = line;
                start = at.saturating_add(if is_pair { 2 } else { 1 });
            }
            other if other == delimiter && !in_quotes => {
                cells.push(std::mem::take(&mut cell));
                was_quoted = false;
            }
            other => cell.push(other),
        }
    }
    if in_quotes {
        let why = "a quote that never closes";
        let at = at_row(first_line, "");
        return Err(Issue::new(Severity::Fatal, "structure", "csv-quote", at, why));
    }
    cells.push(cell);
    push(&mut out, first_line, start..text.len(), &mut cells);
    Ok(out)
}

fn push(out: &mut Vec<Row>, line: usize, range: Range<usize>, cells: &mut Vec<String>) {
    let cells = std::mem::take(cells);
    if cells.len() > 1 || cells.first().is_some_and(|cell| !cell.is_empty()) {
        out.push(Row { line, range, cells });
    }
}

/// A cell as an export writes it: one that a spreadsheet would take for a formula begins with an apostrophe.
pub fn export_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', ';', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test that indexes wrongly fails, as it should")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_know_their_lines() {
        let table =
            read("a,b\r\n1,\"x\ny\"\n\n2,\"say \"\"so\"\"\"\n3\n4,5,6\n", ',').expect("table");
        let lines: Vec<(usize, &str)> =
            table.rows.iter().map(|row| (row.line, row.cells[1].as_str())).collect();
        assert_eq!(lines, [(2, "x\ny"), (5, "say \"so\"")]);
        let refused: Vec<usize> = table.refused.iter().map(|issue| issue.at.line).collect();
        assert_eq!(refused, [6, 7], "ragged rows are not shifted");
        assert_eq!(read("a;b\r1;2", ';').expect("CR alone").rows[0].cells, ["1", "2"]);
    }

    #[test]
    fn tables_that_cannot_be_trusted_are_refused() {
        for (text, rule) in [
            ("", "csv-empty"),
            ("a,a\n1,2", "csv-header"),
            ("a,\n1,2", "csv-header"),
            ("a,b\n1,\"2", "csv-quote"),
        ] {
            assert_eq!(read(text, ',').expect_err(text).rule, rule);
        }
        let wide = vec!["c"; MAX_COLUMNS + 1].join(",");
        assert_eq!(read(&wide, ',').expect_err("wide").rule, "limit");
        assert_eq!(decode(b"\xff\xfea\0,\0", "utf-16le").expect("UTF-16"), "a,");
        assert_eq!(decode(b"\xef\xbb\xbfa", "utf-8").expect("UTF-8"), "a");
        assert_eq!(decode(b"\xff", "utf-8").expect_err("bytes").rule, "csv-encoding");
        assert_eq!(decode(b"a", "klingon").expect_err("name").rule, "csv-encoding");
    }

    #[test]
    fn exports_hold_no_formulas() {
        assert_eq!(export_cell("=1+1"), "'=1+1");
        assert_eq!(export_cell("@a,\"b\""), "\"'@a,\"\"b\"\"\"");
        assert_eq!(export_cell("plain"), "plain");
    }

    proptest! {
        #[test]
        fn cells_come_back(cells in proptest::collection::vec("[a-z\",\n ]{0,8}", 2..5)) {
            let quoted: Vec<String> =
                cells.iter().map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
            let names: Vec<String> = (0..cells.len()).map(|n| format!("c{n}")).collect();
            let text = format!("{}\n{}\n", names.join(","), quoted.join(","));
            let table = read(&text, ',').expect("table");
            prop_assert_eq!(&table.rows[0].cells, &cells);
        }

        #[test]
        fn any_text_never_panics(text: String) {
            let _ = read(&text, ',');
        }
    }
}
