//! The lists that ship in the binary: tab-separated text, found by the first column without a map per row.
use flate2::read::GzDecoder;
use std::io::Read as _;

/// One list: its text and the offsets of its rows, sorted by first column.
pub struct List {
    text: String,
    rows: Vec<usize>,
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("List").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl List {
    /// Unpacks a list that was compiled in; its first line names the columns.
    pub fn unpack(gz: &[u8]) -> Self {
        let mut text = String::new();
        GzDecoder::new(gz).read_to_string(&mut text).expect("a list compiled in is gzip of UTF-8");
        let mut rows = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            rows.push(at);
            at += line.len();
        }
        rows.remove(0);
        let mut list = Self { text, rows: Vec::new() };
        rows.sort_by(|a, b| list.first(*a).cmp(list.first(*b)));
        list.rows = rows;
        list
    }

    fn line(&self, at: usize) -> &str {
        self.text[at..].split('\n').next().unwrap_or_default().trim_end_matches('\r')
    }

    fn first(&self, at: usize) -> &str {
        self.line(at).split('\t').next().unwrap_or_default()
    }

    /// The columns of the row whose first column is `code`.
    pub fn get(&self, code: &str) -> Option<Vec<&str>> {
        let index = self.rows.binary_search_by(|at| self.first(*at).cmp(code)).ok()?;
        Some(self.line(self.rows[index]).split('\t').collect())
    }

    /// All rows, sorted by first column.
    pub fn rows(&self) -> impl Iterator<Item = Vec<&str>> {
        self.rows.iter().map(|at| self.line(*at).split('\t').collect())
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
