//! The lists that ship in the binary: tab-separated text, found by the first column without a map per row.
use flate2::read::GzDecoder;
use std::io::Read as _;

/// The text of a file that was compiled in.
pub(crate) fn unpack(gz: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(gz).read_to_string(&mut text).expect("a list compiled in is gzip of UTF-8");
    text
}

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
        Self::of(unpack(gz))
    }

    /// The rows of a text whose first line names the columns. Of rows with one first column the first is found.
    pub fn of(text: String) -> Self {
        let mut rows: Vec<usize> = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            rows.push(at);
            at += line.len();
        }
        let rows_in_text = rows.len();
        let mut rows: Vec<usize> = rows.into_iter().skip(usize::from(rows_in_text > 0)).collect();
        let mut list = Self { text, rows: Vec::new() };
        // Stable, so that the first of equal ones stays first.
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
        let at = self.rows[self.index(code)? as usize];
        Some(self.line(at).split('\t').collect())
    }

    /// The number of the row whose first column is `code`, the first of equal ones.
    pub fn index(&self, code: &str) -> Option<u32> {
        let index = self.rows.partition_point(|at| self.first(*at) < code);
        let is_it = self.rows.get(index).is_some_and(|at| self.first(*at) == code);
        u32::try_from(index).ok().filter(|_| is_it)
    }

    /// The first column of a row by its number.
    pub fn code_at(&self, index: u32) -> Option<&str> {
        self.rows.get(index as usize).map(|at| self.first(*at))
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
