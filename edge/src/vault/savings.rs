//! What each technique saves, measured on a store's own records, beside what common tools make of the same records.
use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::{
    Inner, Vault,
    block::{HEADER_BYTES, padded_len},
    check::Sizes,
    crypt::TAG_BYTES,
    dictionary::{REST_LEVEL, WRITE_LEVEL},
    flush::{BLOCK_ROWS, groups},
    image,
    row::StoredRecord,
};
use crate::error::EdgeError;

/// Canonical bytes that are looked at, at most: whole patients, as they come.
const SAMPLE_BYTES: usize = 48 << 20;
/// Rows of one block that is packed at leisure.
const REST_ROWS: usize = 512;

/// One line of the report.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// What was done.
    pub what: &'static str,
    /// Bytes a record.
    pub bytes: f64,
    /// Somebody else's way, for comparison.
    pub baseline: bool,
}

/// The report.
#[derive(Clone, PartialEq, Debug)]
pub struct Savings {
    /// Records looked at.
    pub records: usize,
    /// Patients looked at.
    pub patients: usize,
    /// Techniques, each on top of the one before, and baselines.
    pub lines: Vec<Line>,
    /// What the whole store takes.
    pub sizes: Sizes,
}

impl Vault {
    /// Measures what each technique saves.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub fn savings(&self) -> Result<Savings, EdgeError> {
        let mut inner = self.inner()?;
        inner.flush()?;
        inner.savings()
    }
}

#[derive(Default)]
struct Sums {
    raw: usize,
    gzip_each: usize,
    zstd_each: usize,
    columns: usize,
    packed: usize,
    shared: usize,
    rested: usize,
    sealed: usize,
}

impl Inner {
    fn savings(&self) -> Result<Savings, EdgeError> {
        let (mut sums, mut whole, mut records, mut patients) = (Sums::default(), Vec::new(), 0, 0);
        for number in self.people()? {
            let rows = self.records_of(number)?;
            records += rows.len();
            patients += 1;
            self.measure(&rows, &mut sums);
            for row in &rows {
                whole.extend_from_slice(&row.bytes);
                whole.push(b'\n');
            }
            if whole.len() > SAMPLE_BYTES {
                break;
            }
        }
        let sizes = self.sizes()?;
        let each = |bytes: usize| as_f64(bytes as u64) / as_f64(records.max(1) as u64);
        let all = |bytes: u64| as_f64(bytes) / as_f64(sizes.records.max(1));
        let line = |what, bytes, baseline| Line { what, bytes, baseline };
        let around = sizes.ids + sizes.catalogue + sizes.catalogue_around + sizes.key_log;
        let lines = vec![
            line("JSON, canonical", each(sums.raw), true),
            line("gzip -9, each record", each(sums.gzip_each), true),
            line("zstd -19, each record", each(sums.zstd_each), true),
            line("gzip -9, all records as one file", each(gzip(&whole)), true),
            line("zstd -19, all records as one file", each(zstd(&whole)), true),
            line("skeletons and columns", each(sums.columns), false),
            line("+ zstd 9 of 128 rows", each(sums.packed), false),
            line("+ what many patients share", each(sums.shared), false),
            line("+ at leisure: zstd 19 of 512 rows", each(sums.rested), false),
            line("given back: header, padding, tag", each(sums.sealed), false),
            line("rows as they lie on disk", all(sizes.rows), false),
            line("with ids, catalogue and keys", all(sizes.rows + around), false),
            line("original bytes, beside", all(sizes.originals), false),
        ];
        Ok(Savings { records, patients, lines, sizes })
    }

    fn measure(&self, rows: &[StoredRecord], sums: &mut Sums) {
        let rows: Vec<&StoredRecord> = rows.iter().collect();
        let newest = self.dictionaries.newest();
        for row in &rows {
            sums.raw += row.bytes.len() + 1;
            sums.gzip_each += gzip(&row.bytes);
            sums.zstd_each += zstd(&row.bytes);
        }
        for group in groups(&rows, BLOCK_ROWS) {
            sums.columns += image::columns(&group, &self.handles).finish().len();
            sums.packed += image::to_image(&group, &self.handles, None, WRITE_LEVEL).len();
            sums.shared += image::to_image(&group, &self.handles, newest, WRITE_LEVEL).len();
        }
        for group in groups(&rows, REST_ROWS) {
            let image = image::to_image(&group, &self.handles, newest, REST_LEVEL);
            sums.rested += image.len();
            sums.sealed += HEADER_BYTES + padded_len(image.len()) + TAG_BYTES;
        }
    }
}

fn gzip(bytes: &[u8]) -> usize {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).and_then(|()| out.finish()).map_or(0, |packed| packed.len())
}

fn zstd(bytes: &[u8]) -> usize {
    zstd::bulk::compress(bytes, 19).map_or(0, |packed| packed.len())
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files, shown with one digit")]
const fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}

impl Savings {
    /// The report as lines of a table.
    pub fn to_lines(&self) -> Vec<String> {
        let raw = self.lines.first().map_or(1.0, |line| line.bytes);
        let mut out = vec![format!(
            "{} records of {} patients; bytes a record, and how often that goes into JSON",
            self.records, self.patients
        )];
        for line in &self.lines {
            let mark = if line.baseline { "  " } else { "· " };
            out.push(format!(
                "{mark}{:<36}{:>9.1}{:>8.1}x",
                line.what,
                line.bytes,
                raw / line.bytes
            ));
        }
        out
    }

    /// The report as a picture: a bar a line.
    pub fn to_svg(&self) -> String {
        let most = self.lines.iter().map(|line| line.bytes).fold(1.0, f64::max);
        let height = 24 * self.lines.len() + 60;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 {height}\" role=\"img\" \
             font-family=\"sans-serif\" font-size=\"13\">\n<title>Bytes a record, by technique</title>\n\
             <rect width=\"760\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"12\" y=\"24\" font-size=\"15\">Bytes a record, {} records of {} patients (logarithmic)</text>\n",
            self.records, self.patients
        );
        for (row, line) in self.lines.iter().enumerate() {
            let y = 44 + 24 * row;
            let width = 380.0 * (1.0 + line.bytes).ln() / (1.0 + most).ln();
            let colour = if line.baseline { "#9aa5b1" } else { "#2563a8" };
            out.push_str(&format!(
                "<text x=\"270\" y=\"{}\" text-anchor=\"end\">{}</text>\
                 <rect x=\"280\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{:.1}</text>\n",
                y + 14,
                line.what,
                286.0 + width,
                y + 14,
                line.bytes
            ));
        }
        out.push_str("</svg>\n");
        out
    }
}
