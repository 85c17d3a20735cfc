//! The image of a block of rows: skeletons and columns, packed with what many patients have in common.
//!
//! ```text
//! image = varint 1 ‖ varint row_count ‖ varint dictionary ‖ varint raw_len ‖ length-prefixed zstd frame     (`dictionary.rs`)
//! raw   = the sequences and texts of `column.rs`, in this order:
//!   local number; first version's number; previous version's number (0 = none); quality; confidentiality    sequences
//!   type; skeleton (`skeleton.rs`)                                                                          texts
//!   of each path, by first appearance in the distinct skeletons: its form (a sequence of one), then
//!     form 0  text      texts
//!     form 1  instant   seconds UTC; digits of the fraction; fraction: sequences; zone: texts
//!     form 2  date      days since 1970: sequence
//!     form 3  template  texts, with byte 1 for each handle of the same patient, 2 for a shared record's, 3 for a UUID;
//!                       their local numbers: two sequences; the UUIDs' 16 bytes: texts
//!     form 4  base64    decoded bytes: texts
//!     form 5  decimal   zigzag mantissa, scale: sequences
//!   date: 0 = none, 1 = literal, n + 2 = that of the n-th leaf: sequence; literal dates: sequence
//!   keywords of each row: sequence; of each keyword: system, code, display: texts; assertion, weight: sequences
//! ```
//!
//! A form other than text is used only if every value of the path comes back the same. Summaries follow from the rest and
//! are made anew (`summary.rs`, whose format is part of version 1).
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use std::{collections::HashMap, rc::Rc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use super::{
    SHARED,
    codec::{Malformed, Reader, put_varint},
    column::{ColumnReader, ColumnWriter, Texts},
    dictionary::{Dictionaries, Dictionary, pack},
    handle::Handles,
    moment::{self, Instant},
    row::{ASSERTIONS, RecordMeta, StoredRecord},
    skeleton::{self, NUMBER, RAW, STRING},
    summary,
};
use crate::model::{Handle, Keyword, Kind, PatientNo};

const VERSION: u64 = 1;
const TEXT: u64 = 0;
const INSTANT: u64 = 1;
const DATE: u64 = 2;
const TEMPLATE: u64 = 3;
const BASE64_FORM: u64 = 4;
const DECIMAL: u64 = 5;

/// In a template: a handle of the same patient, of a shared record; a UUID.
const OWN: u8 = 1;
const OTHERS: u8 = 2;
const UUID: u8 = 3;
/// Longer strings are prose: nobody writes references into them for us.
const MAX_TEMPLATE: usize = 256;
/// Shorter strings gain nothing from being decoded.
const MIN_BASE64: usize = 32;
/// Leaves of a record among which its date is looked for.
const DATE_LEAVES: usize = 96;

/// Makes the image of a block of one patient's rows.
pub(super) fn to_image(
    rows: &[&StoredRecord],
    handles: &Handles,
    dictionary: Option<&Dictionary>,
    level: i32,
) -> Vec<u8> {
    let mut image = Vec::new();
    put_varint(&mut image, VERSION);
    put_varint(&mut image, rows.len() as u64);
    pack(&mut image, &columns(rows, handles).finish(), dictionary, level);
    image
}

/// The columns of rows.
pub(super) fn columns(rows: &[&StoredRecord], handles: &Handles) -> ColumnWriter {
    let patient = rows.first().map_or(SHARED, |row| row.meta.patient_no);
    let mut writer = ColumnWriter::default();
    let mut put = |value: &dyn Fn(&RecordMeta) -> u64| {
        writer.put(rows.iter().map(|row| value(&row.meta)).collect());
    };
    let local_of = |handle| handles.open(handle).map_or(0, |(_, local): (_, u32)| local.into());
    put(&|meta| meta.local_no.into());
    put(&|meta| meta.first_no.into());
    put(&|meta| meta.prev.map_or(0, local_of));
    put(&|meta| meta.quality.into());
    put(&|meta| meta.confidentiality.into());
    let types: Vec<&str> = rows.iter().map(|row| row.meta.resource_type.as_str()).collect();
    writer.put_texts(&types);

    let split: Vec<(Vec<u8>, Vec<&[u8]>)> =
        rows.iter().map(|row| skeleton::split(&row.bytes)).collect();
    let skeletons: Vec<&[u8]> = split.iter().map(|(skeleton, _)| skeleton.as_slice()).collect();
    writer.put_texts(&skeletons);
    let mut paths = Paths::default();
    let mut leaves: Vec<Vec<&[u8]>> = Vec::new();
    for (skeleton, values) in &split {
        let shape = paths.shape(skeleton);
        leaves.resize(paths.bytes.len(), Vec::new());
        for (path, value) in shape.iter().zip(values) {
            if let Some(column) = leaves.get_mut(*path) {
                column.push(value);
            }
        }
    }
    for (kind, values) in paths.bytes.iter().zip(&leaves) {
        put_column(&mut writer, *kind, values, patient, handles);
    }

    let (mut dates, mut literal) = (Vec::with_capacity(rows.len()), Vec::new());
    for (row, (_, values)) in rows.iter().zip(&split) {
        dates.push(match row.meta.date {
            None => 0,
            Some(date) => {
                let mut near = values.iter().take(DATE_LEAVES);
                match near.position(|leaf| moment::moment(leaf) == Some(date)) {
                    Some(leaf) => (leaf as u64).saturating_add(2),
                    None => {
                        literal.push(date.cast_unsigned());
                        1
                    }
                }
            }
        });
    }
    writer.put(dates);
    writer.put(literal);

    let keywords: Vec<&Keyword> = rows.iter().flat_map(|row| &row.keywords).collect();
    writer.put(rows.iter().map(|row| row.keywords.len() as u64).collect());
    let parts: [fn(&Keyword) -> &str; 3] = [|k| &k.system, |k| &k.code, |k| &k.display];
    for text in parts {
        writer.put_texts(&keywords.iter().map(|keyword| text(keyword)).collect::<Vec<_>>());
    }
    let assertion = |k: &&Keyword| ASSERTIONS.iter().position(|a| *a == k.assertion).unwrap_or(0);
    writer.put(keywords.iter().map(|keyword| assertion(keyword) as u64).collect());
    writer.put(keywords.iter().map(|keyword| keyword.weight.into()).collect());
    writer
}

/// Numbers paths by first appearance.
#[derive(Default)]
struct Paths {
    numbers: HashMap<Vec<u8>, usize>,
    /// The leaf byte of each path.
    bytes: Vec<u8>,
    shapes: HashMap<Vec<u8>, Rc<Vec<usize>>>,
}

impl Paths {
    /// The path of each leaf of a skeleton.
    fn shape(&mut self, skeleton: &[u8]) -> Rc<Vec<usize>> {
        if let Some(shape) = self.shapes.get(skeleton) {
            return Rc::clone(shape);
        }
        let mut shape = Vec::new();
        for path in skeleton::paths(skeleton).unwrap_or_default() {
            let next = self.bytes.len();
            let byte = path.last().copied().unwrap_or(RAW);
            let number = *self.numbers.entry(path).or_insert(next);
            if number == next {
                self.bytes.push(byte);
            }
            shape.push(number);
        }
        let shape = Rc::new(shape);
        self.shapes.insert(skeleton.to_vec(), Rc::clone(&shape));
        shape
    }
}

fn put_column(
    writer: &mut ColumnWriter,
    kind: u8,
    values: &[&[u8]],
    patient: PatientNo,
    handles: &Handles,
) {
    match kind {
        STRING => {
            if let Some(instants) = all(values, moment::instant) {
                writer.put(vec![INSTANT]);
                writer.put(instants.iter().map(|i| i.seconds.cast_unsigned()).collect());
                writer.put(instants.iter().map(|i| i.digits).collect());
                writer.put(instants.iter().map(|i| i.fraction).collect());
                return writer.put_texts(&instants.iter().map(|i| i.zone).collect::<Vec<_>>());
            }
            if let Some(days) = all(values, moment::date) {
                writer.put(vec![DATE]);
                return writer.put(days.into_iter().map(i64::cast_unsigned).collect());
            }
            let templates: Vec<Template> =
                values.iter().map(|value| Template::of(value, patient, handles)).collect();
            if templates.iter().any(Template::names_something) {
                return put_templates(writer, &templates);
            }
            if let Some(decoded) = all(values, base64) {
                writer.put(vec![BASE64_FORM]);
                return writer.put_texts(&decoded);
            }
        }
        NUMBER => {
            if let Some(decimals) = all(values, decimal) {
                writer.put(vec![DECIMAL]);
                writer.put(decimals.iter().map(|(mantissa, _)| *mantissa).collect());
                return writer.put(decimals.iter().map(|(_, scale)| *scale).collect());
            }
        }
        _ => {}
    }
    writer.put(vec![TEXT]);
    writer.put_texts(values);
}

fn put_templates(writer: &mut ColumnWriter, templates: &[Template]) {
    writer.put(vec![TEMPLATE]);
    writer.put_texts(&templates.iter().map(|t| t.text.as_slice()).collect::<Vec<_>>());
    writer.put(templates.iter().flat_map(|t| t.own.clone()).collect());
    writer.put(templates.iter().flat_map(|t| t.others.clone()).collect());
    writer.put_texts(&templates.iter().flat_map(|t| t.uuids.clone()).collect::<Vec<_>>());
}

fn all<'a, T>(values: &[&'a [u8]], read: impl Fn(&'a [u8]) -> Option<T>) -> Option<Vec<T>> {
    values.iter().map(|value| read(value)).collect()
}

fn base64(value: &[u8]) -> Option<Vec<u8>> {
    let decoded = (value.len() >= MIN_BASE64).then(|| BASE64.decode(value).ok())??;
    (BASE64.encode(&decoded).as_bytes() == value).then_some(decoded)
}

/// `-12.50` = (zigzag -1250, 2): at most 18 digits, no exponent, no needless zero in front, no `-0`.
fn decimal(value: &[u8]) -> Option<(u64, u64)> {
    let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
    let point = value.iter().position(|byte| *byte == b'.');
    let scale = match point {
        Some(point) => value.len().checked_sub(point)?.checked_sub(1)?,
        None => 0,
    };
    if digits.len() > 18 {
        return None;
    }
    let mantissa: i64 = std::str::from_utf8(&digits).ok()?.parse().ok()?;
    let mantissa = if value.starts_with(b"-") { mantissa.checked_neg()? } else { mantissa };
    let zigzag = ((mantissa << 1) ^ (mantissa >> 63)).cast_unsigned();
    let mut again = Vec::new();
    write_decimal(zigzag, scale as u64, &mut again).ok()?;
    (again == value).then_some((zigzag, scale as u64))
}

fn write_decimal(mantissa: u64, scale: u64, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let scale = usize::try_from(scale).ok().filter(|scale| *scale <= 18).ok_or(Malformed)?;
    if mantissa & 1 == 1 {
        out.push(b'-');
    }
    let magnitude = (mantissa >> 1).wrapping_add(mantissa & 1);
    let width = scale.saturating_add(1);
    let digits = format!("{magnitude:0width$}");
    let whole = digits.len().saturating_sub(scale);
    out.extend(digits.bytes().take(whole));
    if scale > 0 {
        out.push(b'.');
        out.extend(digits.bytes().skip(whole));
    }
    Ok(())
}

/// A string with what it names taken out.
#[derive(Default)]
struct Template {
    text: Vec<u8>,
    own: Vec<u64>,
    others: Vec<u64>,
    uuids: Vec<[u8; 16]>,
}

impl Template {
    fn of(value: &[u8], patient: PatientNo, handles: &Handles) -> Self {
        let mut template = Self::default();
        if value.len() > MAX_TEMPLATE {
            template.text = value.to_vec();
            return template;
        }
        let mut rest = value;
        while let Some(first) = rest.first() {
            let run =
                rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')).count();
            let (name, after) = rest.split_at_checked(run).unwrap_or((rest, &[]));
            if run == 0 {
                template.text.push(*first);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            rest = after;
            match named(name, patient, handles) {
                Some(Named::Own(local)) => {
                    template.text.push(OWN);
                    template.own.push(local.into());
                }
                Some(Named::Others(local)) => {
                    template.text.push(OTHERS);
                    template.others.push(local.into());
                }
                Some(Named::Uuid(uuid)) => {
                    template.text.push(UUID);
                    template.uuids.push(uuid);
                }
                None => template.text.extend_from_slice(name),
            }
        }
        template
    }

    fn names_something(&self) -> bool {
        !(self.own.is_empty() && self.others.is_empty() && self.uuids.is_empty())
    }
}

enum Named {
    Own(u32),
    Others(u32),
    Uuid([u8; 16]),
}

/// What a run of hex digits and dashes names.
fn named(name: &[u8], patient: PatientNo, handles: &Handles) -> Option<Named> {
    match name.len() {
        32 => {
            let handle: Handle = std::str::from_utf8(name).ok()?.parse().ok()?;
            match handles.open(handle)? {
                (owner, local) if owner == patient => Some(Named::Own(local)),
                (SHARED, local) => Some(Named::Others(local)),
                _ => None,
            }
        }
        36 => {
            let hex: Vec<u8> = name.iter().copied().filter(|byte| *byte != b'-').collect();
            let uuid: Handle = std::str::from_utf8(&hex).ok()?.parse().ok()?;
            let mut again = Vec::new();
            write_uuid(&uuid.0, &mut again);
            (again == name).then_some(Named::Uuid(uuid.0))
        }
        _ => None,
    }
}

fn write_uuid(uuid: &[u8; 16], out: &mut Vec<u8>) {
    out.extend_from_slice(crate::model::ids::uuid_text(uuid).as_bytes());
}

/// The rows of an image. `current` is left true: the patient's state knows.
pub(super) fn from_image(
    image: &[u8],
    patient: PatientNo,
    handles: &Handles,
    dictionaries: &Dictionaries,
) -> Result<Vec<StoredRecord>, Malformed> {
    read(image, dictionaries, |block| {
        let mut at = Cursor::default();
        (0..block.rows).map(|row| block.row(row, &mut at, patient, handles)).collect()
    })
}

/// One row of an image, if it is there; the other rows are not put together.
pub(super) fn row_from_image(
    image: &[u8],
    local_no: u32,
    patient: PatientNo,
    handles: &Handles,
    dictionaries: &Dictionaries,
) -> Result<Option<StoredRecord>, Malformed> {
    read(image, dictionaries, |block| {
        let Some(row) = block.locals.iter().position(|local| *local == u64::from(local_no)) else {
            return Ok(None);
        };
        let mut at = Cursor::default();
        (0..row).try_for_each(|before| block.skip(before, &mut at))?;
        block.row(row, &mut at, patient, handles).map(Some)
    })
}

fn read<T>(
    image: &[u8],
    dictionaries: &Dictionaries,
    with: impl FnOnce(&Block<'_>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let mut reader = Reader::new(image);
    if reader.varint()? != VERSION {
        return Err(Malformed);
    }
    let rows = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
    let raw = dictionaries.unpack(&mut reader)?;
    reader.end()?;
    with(&Block::read(&raw, rows)?)
}

/// The columns of a block, opened.
struct Block<'a> {
    rows: usize,
    locals: Rc<Vec<u64>>,
    firsts: Rc<Vec<u64>>,
    prevs: Rc<Vec<u64>>,
    qualities: Rc<Vec<u64>>,
    confidentialities: Rc<Vec<u64>>,
    types: Texts<'a>,
    skeletons: Texts<'a>,
    /// The path of each leaf of each distinct skeleton.
    shapes: Vec<Rc<Vec<usize>>>,
    columns: Vec<Column<'a>>,
    dates: Rc<Vec<u64>>,
    literal_dates: Rc<Vec<u64>>,
    keyword_counts: Rc<Vec<u64>>,
    keywords: [Texts<'a>; 3],
    assertions: Rc<Vec<u64>>,
    weights: Rc<Vec<u64>>,
}

/// How far each column was read.
#[derive(Default)]
struct Cursor {
    leaves: Vec<usize>,
    dates: usize,
    keywords: usize,
}

enum Column<'a> {
    Text(Texts<'a>),
    Instant([Rc<Vec<u64>>; 3], Texts<'a>),
    Date(Rc<Vec<u64>>),
    Template(Box<Templates<'a>>),
    Base64(Texts<'a>),
    Decimal(Rc<Vec<u64>>, Rc<Vec<u64>>),
}

struct Templates<'a> {
    texts: Texts<'a>,
    own: Rc<Vec<u64>>,
    others: Rc<Vec<u64>>,
    uuids: Texts<'a>,
    /// Of each value: how many of the three were named before it.
    before: Vec<[usize; 3]>,
}

impl<'a> Block<'a> {
    fn read(raw: &'a [u8], rows: usize) -> Result<Self, Malformed> {
        let mut reader = ColumnReader::new(raw)?;
        let locals = reader.take(rows)?;
        let firsts = reader.take(rows)?;
        let prevs = reader.take(rows)?;
        let qualities = reader.take(rows)?;
        let confidentialities = reader.take(rows)?;
        let types = reader.take_texts(rows)?;
        let skeletons = reader.take_texts(rows)?;
        let mut paths = Paths::default();
        let mut shapes = Vec::with_capacity(skeletons.distinct().len());
        for skeleton in skeletons.distinct() {
            skeleton::paths(skeleton)?;
            shapes.push(paths.shape(skeleton));
        }
        let mut uses = vec![0_usize; shapes.len()];
        for row in 0..rows {
            let shape = uses.get_mut(skeletons.first_of(row)?).ok_or(Malformed)?;
            *shape = shape.saturating_add(1);
        }
        let mut counts = vec![0_usize; paths.bytes.len()];
        for (shape, uses) in shapes.iter().zip(uses) {
            for path in shape.iter() {
                let count = counts.get_mut(*path).ok_or(Malformed)?;
                *count = count.saturating_add(uses);
            }
        }
        let columns = counts
            .into_iter()
            .map(|count| Column::read(&mut reader, count))
            .collect::<Result<_, _>>()?;
        let dates = reader.take(rows)?;
        let literal = dates.iter().filter(|date| **date == 1).count();
        let literal_dates = reader.take(literal)?;
        let keyword_counts = reader.take(rows)?;
        let keywords = keyword_counts
            .iter()
            .try_fold(0_usize, |sum, count| sum.checked_add(usize::try_from(*count).ok()?));
        let keywords = keywords.ok_or(Malformed)?;
        let texts = [
            reader.take_texts(keywords)?,
            reader.take_texts(keywords)?,
            reader.take_texts(keywords)?,
        ];
        let assertions = reader.take(keywords)?;
        let weights = reader.take(keywords)?;
        reader.end()?;
        Ok(Self {
            rows,
            locals,
            firsts,
            prevs,
            qualities,
            confidentialities,
            types,
            skeletons,
            shapes,
            columns,
            dates,
            literal_dates,
            keyword_counts,
            keywords: texts,
            assertions,
            weights,
        })
    }

    fn shape(&self, row: usize) -> Result<&[usize], Malformed> {
        let shape = self.shapes.get(self.skeletons.first_of(row)?).ok_or(Malformed)?;
        Ok(shape)
    }

    /// Moves behind a row.
    fn skip(&self, row: usize, at: &mut Cursor) -> Result<(), Malformed> {
        at.leaves.resize(self.columns.len(), 0);
        for path in self.shape(row)? {
            let leaf = at.leaves.get_mut(*path).ok_or(Malformed)?;
            *leaf = leaf.saturating_add(1);
        }
        if number(&self.dates, row)? == 1 {
            at.dates = at.dates.saturating_add(1);
        }
        let keywords =
            usize::try_from(number(&self.keyword_counts, row)?).map_err(|_| Malformed)?;
        at.keywords = at.keywords.saturating_add(keywords);
        Ok(())
    }

    fn row(
        &self,
        row: usize,
        at: &mut Cursor,
        patient: PatientNo,
        handles: &Handles,
    ) -> Result<StoredRecord, Malformed> {
        at.leaves.resize(self.columns.len(), 0);
        let (bytes, leaves) = self.content(row, at, patient, handles)?;
        let date = match number(&self.dates, row)? {
            0 => None,
            1 => Some(number(&self.literal_dates, at.dates)?.cast_signed()),
            leaf => {
                let leaf = usize::try_from(leaf.saturating_sub(2)).map_err(|_| Malformed)?;
                let range = leaves.get(leaf).cloned().ok_or(Malformed)?;
                Some(moment::moment(bytes.get(range).ok_or(Malformed)?).ok_or(Malformed)?)
            }
        };
        let small = |column: &[u64]| u32::try_from(number(column, row)?).map_err(|_| Malformed);
        let local_no = small(&self.locals)?;
        let resource_type = text(self.types.get(row)?)?;
        let prev = small(&self.prevs)?;
        let meta = RecordMeta {
            handle: handles.seal(patient, local_no),
            prev: (prev != 0).then(|| handles.seal(patient, prev)),
            kind: Kind::from_resource_type(&resource_type),
            patient_no: patient,
            local_no,
            first_no: small(&self.firsts)?,
            resource_type,
            quality: small(&self.qualities)?,
            date,
            confidentiality: u8::try_from(small(&self.confidentialities)?)
                .map_err(|_| Malformed)?,
            current: true,
        };
        let keywords = self.keywords(row, at)?;
        self.skip(row, at)?;
        let summary = summary::to_bytes(&meta, &keywords);
        Ok(StoredRecord { meta, bytes, keywords, summary })
    }

    /// A row's canonical bytes, and where its leaves stand in them.
    fn content(
        &self,
        row: usize,
        at: &Cursor,
        patient: PatientNo,
        handles: &Handles,
    ) -> Result<(Vec<u8>, Vec<std::ops::Range<usize>>), Malformed> {
        let skeleton = self.skeletons.get(row)?;
        let mut paths = self.shape(row)?.iter();
        let mut read: HashMap<usize, usize> = HashMap::new();
        let (mut bytes, mut leaves) =
            (Vec::with_capacity(skeleton.len().saturating_mul(2)), Vec::new());
        for byte in skeleton {
            if !skeleton::is_leaf(*byte) {
                bytes.push(*byte);
                continue;
            }
            let path = *paths.next().ok_or(Malformed)?;
            let before = read.entry(path).or_insert(0);
            let index = at.leaves.get(path).ok_or(Malformed)?.saturating_add(*before);
            *before = before.saturating_add(1);
            if *byte == STRING {
                bytes.push(b'"');
            }
            let start = bytes.len();
            self.columns.get(path).ok_or(Malformed)?.write(index, patient, handles, &mut bytes)?;
            leaves.push(start..bytes.len());
            if *byte == STRING {
                bytes.push(b'"');
            }
        }
        Ok((bytes, leaves))
    }

    fn keywords(&self, row: usize, at: &Cursor) -> Result<Vec<Keyword>, Malformed> {
        let count = usize::try_from(number(&self.keyword_counts, row)?).map_err(|_| Malformed)?;
        let [systems, codes, displays] = &self.keywords;
        let keyword = |index| {
            let assertion =
                usize::try_from(number(&self.assertions, index)?).map_err(|_| Malformed)?;
            Ok(Keyword {
                system: text(systems.get(index)?)?,
                code: text(codes.get(index)?)?,
                display: text(displays.get(index)?)?,
                assertion: *ASSERTIONS.get(assertion).ok_or(Malformed)?,
                weight: u32::try_from(number(&self.weights, index)?).map_err(|_| Malformed)?,
            })
        };
        (at.keywords..at.keywords.saturating_add(count)).map(keyword).collect()
    }
}

impl<'a> Column<'a> {
    fn read(reader: &mut ColumnReader<'a>, count: usize) -> Result<Self, Malformed> {
        Ok(match number(&reader.take(1)?, 0)? {
            TEXT => Self::Text(reader.take_texts(count)?),
            INSTANT => {
                let numbers = [reader.take(count)?, reader.take(count)?, reader.take(count)?];
                Self::Instant(numbers, reader.take_texts(count)?)
            }
            DATE => Self::Date(reader.take(count)?),
            TEMPLATE => Self::Template(Box::new(Templates::read(reader, count)?)),
            BASE64_FORM => Self::Base64(reader.take_texts(count)?),
            DECIMAL => Self::Decimal(reader.take(count)?, reader.take(count)?),
            _ => return Err(Malformed),
        })
    }

    fn write(
        &self,
        index: usize,
        patient: PatientNo,
        handles: &Handles,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        match self {
            Self::Text(texts) => out.extend_from_slice(texts.get(index)?),
            Self::Base64(bytes) => {
                out.extend_from_slice(BASE64.encode(bytes.get(index)?).as_bytes())
            }
            Self::Date(days) => {
                moment::write_date(number(days, index)?.cast_signed(), out).ok_or(Malformed)?;
            }
            Self::Decimal(mantissas, scales) => {
                write_decimal(number(mantissas, index)?, number(scales, index)?, out)?;
            }
            Self::Instant([seconds, digits, fractions], zones) => {
                let instant = Instant {
                    seconds: number(seconds, index)?.cast_signed(),
                    digits: number(digits, index)?,
                    fraction: number(fractions, index)?,
                    zone: zones.get(index)?,
                };
                moment::write_instant(instant, out).ok_or(Malformed)?;
            }
            Self::Template(templates) => templates.write(index, patient, handles, out)?,
        }
        Ok(())
    }
}

impl<'a> Templates<'a> {
    fn read(reader: &mut ColumnReader<'a>, count: usize) -> Result<Self, Malformed> {
        let texts = reader.take_texts(count)?;
        let named = |text: &[u8], mark| text.iter().filter(|byte| **byte == mark).count();
        let each: Vec<[usize; 3]> = texts
            .distinct()
            .iter()
            .map(|text| [OWN, OTHERS, UUID].map(|mark| named(text, mark)))
            .collect();
        let mut before = Vec::with_capacity(count);
        let mut sum = [0_usize; 3];
        for index in 0..count {
            before.push(sum);
            let counts = each.get(texts.first_of(index)?).ok_or(Malformed)?;
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum = sum.saturating_add(*count);
            }
        }
        let [own, others, uuids] = sum;
        let (own, others) = (reader.take(own)?, reader.take(others)?);
        Ok(Self { texts, own, others, uuids: reader.take_texts(uuids)?, before })
    }

    fn write(
        &self,
        index: usize,
        patient: PatientNo,
        handles: &Handles,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let [mut own, mut others, mut uuids] = *self.before.get(index).ok_or(Malformed)?;
        let handle = |owner, numbers: &[u64], at: &mut usize| {
            let local = u32::try_from(number(numbers, *at)?).map_err(|_| Malformed)?;
            *at = at.saturating_add(1);
            Ok(handles.seal(owner, local).to_string())
        };
        for byte in self.texts.get(index)? {
            match *byte {
                OWN => out.extend_from_slice(handle(patient, &self.own, &mut own)?.as_bytes()),
                OTHERS => {
                    out.extend_from_slice(handle(SHARED, &self.others, &mut others)?.as_bytes())
                }
                UUID => {
                    let uuid = self.uuids.get(uuids)?.try_into().map_err(|_| Malformed)?;
                    uuids = uuids.saturating_add(1);
                    write_uuid(uuid, out);
                }
                other => out.push(other),
            }
        }
        Ok(())
    }
}

fn number(numbers: &[u64], index: usize) -> Result<u64, Malformed> {
    numbers.get(index).copied().ok_or(Malformed)
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::{canonical, json},
        vault::{crypt::Secret, dictionary::WRITE_LEVEL, row::tests::any_record},
    };

    fn handles() -> Handles {
        Handles::new(Secret::new([1; 32]))
    }

    fn there_and_back(records: &[StoredRecord]) -> Vec<u8> {
        let none = Dictionaries::default();
        let image = to_image(&records.iter().collect::<Vec<_>>(), &handles(), None, WRITE_LEVEL);
        let read = from_image(&image, PatientNo(5), &handles(), &none).expect("ours");
        assert!(read == records, "{read:?} {records:?}");
        for record in records {
            let one = row_from_image(&image, record.meta.local_no, PatientNo(5), &handles(), &none);
            let one = one.expect("ours").expect("there");
            assert_eq!(one.meta.local_no, record.meta.local_no);
        }
        image
    }

    /// JSON of the kinds that columns know, some of it not quite.
    fn any_leaf() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("\"2020-02-29\"".to_owned()),
            Just("\"2020-02-30\"".to_owned()),
            (0_i64..4_000_000_000).prop_map(|s| {
                let mut out = Vec::new();
                let zone = b"+05:30";
                let instant = Instant { seconds: s, digits: 3, fraction: 45, zone };
                moment::write_instant(instant, &mut out).expect("a year of four digits");
                format!("\"{}\"", String::from_utf8(out).expect("text"))
            }),
            (any::<u32>(), any::<bool>()).prop_map(|(n, own)| {
                let owner = if own { PatientNo(5) } else { SHARED };
                format!("\"Encounter/{}\"", handles().seal(owner, n))
            }),
            any::<[u8; 16]>()
                .prop_map(|u| format!("\"urn:uuid:{}\"", crate::model::ids::uuid_text(&u))),
            proptest::collection::vec(any::<u8>(), 30..60)
                .prop_map(|b| format!("\"{}\"", BASE64.encode(b))),
            (any::<i32>(), 0_u32..5).prop_map(|(m, s)| format!(
                "{:.*}",
                s as usize,
                f64::from(m) / 100.0
            )),
            Just("1e5".to_owned()),
            Just("-0".to_owned()),
            Just("0.10".to_owned()),
            Just("true".to_owned()),
            Just("\"\\u0001 \\\"x\"".to_owned()),
            Just("\"abc\"".to_owned()),
            Just("[\"a\",{\"b\":1}]".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn rows_of_anything_round_trip(records in proptest::collection::vec(any_record(), 0..6)) {
            there_and_back(&unique(records));
        }

        #[test]
        fn rows_of_resources_round_trip(
            records in proptest::collection::vec((any_record(), any_leaf(), any_leaf(), any_leaf()), 1..8),
        ) {
            let records = records.into_iter().map(|(mut record, a, b, c)| {
                let text = format!(r#"{{"id":"{}","a":{a},"b":{b},"c":{c}}}"#, record.meta.handle);
                record.bytes = canonical::to_bytes(&json::parse(text.as_bytes()).expect("JSON"));
                record
            });
            there_and_back(&unique(records.collect()));
        }

        #[test]
        fn foreign_images_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..200), rows in 0_u64..9) {
            let mut image = Vec::new();
            put_varint(&mut image, VERSION);
            put_varint(&mut image, rows);
            pack(&mut image, &raw, None, 1);
            let _ = from_image(&image, PatientNo(5), &handles(), &Dictionaries::default());
            let _ = from_image(&raw, PatientNo(5), &handles(), &Dictionaries::default());
        }

        #[test]
        fn a_changed_image_is_refused_or_read_and_never_panics(
            records in proptest::collection::vec(any_record(), 1..4),
            at: proptest::sample::Index,
            with: u8,
        ) {
            let records = unique(records);
            let raw = columns(&records.iter().collect::<Vec<_>>(), &handles()).finish();
            let mut changed = raw.clone();
            *at.get_mut(&mut changed) ^= with;
            let mut image = Vec::new();
            put_varint(&mut image, VERSION);
            put_varint(&mut image, records.len() as u64);
            pack(&mut image, &changed, None, 1);
            let _ = from_image(&image, PatientNo(5), &handles(), &Dictionaries::default());
        }
    }

    fn unique(mut records: Vec<StoredRecord>) -> Vec<StoredRecord> {
        records.sort_by_key(|record| record.meta.local_no);
        records.dedup_by_key(|record| record.meta.local_no);
        records
    }

    #[test]
    fn a_row_of_a_regular_history_costs_a_few_bytes() {
        let handles = handles();
        let records: Vec<StoredRecord> = (1..=128_u32)
            .map(|n| {
                let mut when = Vec::new();
                let seconds = 1_700_000_000 + i64::from(n / 8) * 86_400;
                let instant = Instant { seconds, digits: 0, fraction: 0, zone: b"-05:00" };
                moment::write_instant(instant, &mut when).expect("a year of four digits");
                let text = format!(
                    r#"{{"resourceType":"Observation","id":"{}","subject":{{"reference":"Patient/{}"}},"effectiveDateTime":"{}","code":{{"coding":[{{"system":"http://loinc.org","code":"{}-1","display":"Test number {}"}}]}},"valueQuantity":{{"value":{}.{},"unit":"mg/dL"}}}}"#,
                    handles.seal(PatientNo(5), n),
                    handles.seal(PatientNo(5), 1),
                    String::from_utf8(when).expect("text"),
                    n % 8,
                    n % 8,
                    n * 7 % 90,
                    n % 10,
                );
                let mut record = crate::vault::row::tests::plain_record(n);
                record.meta.date = Some(seconds);
                record.bytes = canonical::to_bytes(&json::parse(text.as_bytes()).expect("JSON"));
                record.summary = summary::to_bytes(&record.meta, &record.keywords);
                record
            })
            .collect();
        let image = there_and_back(&records);
        assert!(image.len() < 128 * 10, "{} bytes", image.len());
    }
}
