//! The index of one edge on tantivy.
//!
//! What is added is committed when somebody searches, when 4,096 records wait, and at [`Index::commit`]; a commit carries
//! the vault's change number, so that an index that has not seen everything is noticed at start and rebuilt.
use std::{
    collections::HashSet,
    ops::Bound,
    path::Path,
    sync::{Mutex, MutexGuard},
};

use tantivy::{
    DocAddress, DocId, IndexReader, IndexWriter, ReloadPolicy, Score, Searcher, SegmentOrdinal,
    SegmentReader, TantivyDocument, TantivyError, Term,
    collector::{Collector, SegmentCollector, TopDocs},
    columnar::Column,
    indexer::LogMergePolicy,
    query::{
        AllQuery, BooleanQuery, EmptyQuery, EnableScoring, Occur, PhraseQuery,
        Query as TantivyQuery, RangeQuery, TermQuery,
    },
    schema::{
        FAST, Field, INDEXED, IndexRecordOption, Schema, SchemaBuilder, TextFieldIndexing,
        TextOptions,
    },
    tokenizer::{Token, TokenStream, Tokenizer},
};

use super::{
    IndexDoc,
    directory::SealedDirectory,
    query::{Hit, Hits, Query},
    term,
};
use crate::{
    error::EdgeError,
    keys::StoreKeys,
    model::{Kind, PatientNo},
    stores::local,
    terminology::normalise,
    vault::{Handles, SHARED},
};

/// Memory of the one writer thread: below 15 MB tantivy makes a segment per document.
const WRITER_BYTES: usize = 30_000_000;
/// Records that may wait for a commit.
const COMMIT_RECORDS: usize = 4096;
/// From so many segments on, small ones are merged.
const MERGE_SEGMENTS: usize = 8;
/// Hits of one answer.
const MAX_HITS: usize = 200;

/// The index of one edge.
pub struct Index {
    index: tantivy::Index,
    fields: Fields,
    reader: IndexReader,
    handles: Handles,
    writing: Mutex<Writing>,
}

struct Writing {
    writer: IndexWriter,
    waiting: usize,
    change_no: u64,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}

/// The schema's fields, in the order of the table in `index/mod.rs`.
#[derive(Clone, Copy, Debug)]
struct Fields {
    patient_no: Field,
    local_no: Field,
    kind: Field,
    confidentiality: Field,
    code: Field,
    keyword: Field,
    negated: Field,
    family: Field,
    past: Field,
    possible: Field,
    text: Field,
    date: Field,
}

impl Fields {
    fn build(schema: &mut SchemaBuilder) -> Self {
        let raw = TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        let raw = TextOptions::default().set_indexing_options(raw);
        let words = TextFieldIndexing::default()
            .set_tokenizer("clinical")
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let words = TextOptions::default().set_indexing_options(words);
        Self {
            patient_no: schema.add_u64_field("patient_no", INDEXED | FAST),
            local_no: schema.add_u64_field("local_no", INDEXED | FAST),
            kind: schema.add_u64_field("kind", INDEXED | FAST),
            confidentiality: schema.add_u64_field("confidentiality", INDEXED | FAST),
            code: schema.add_text_field("code", raw.clone()),
            keyword: schema.add_text_field("keyword", raw.clone()),
            negated: schema.add_text_field("negated", raw.clone()),
            family: schema.add_text_field("family", raw.clone()),
            past: schema.add_text_field("past", raw.clone()),
            possible: schema.add_text_field("possible", raw),
            text: schema.add_text_field("text", words),
            date: schema.add_i64_field("date", INDEXED | FAST),
        }
    }
}

fn failed(error: impl Into<TantivyError>) -> EdgeError {
    EdgeError::storage(
        error.into().to_string(),
        "search index",
        "remove the folder `index` of the data folder: it is rebuilt from the vault at the next start",
    )
}

impl Index {
    /// Opens the index in `dir/index`, or makes an empty one.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if it is damaged or of another schema; [`EdgeError::Io`].
    pub fn open(dir: &Path, keys: &StoreKeys) -> Result<Self, EdgeError> {
        let folder = dir.join("index");
        local::create_folder(&folder)?;
        let mut schema = Schema::builder();
        let fields = Fields::build(&mut schema);
        let directory = SealedDirectory::new(&folder, keys.index.clone());
        let index = tantivy::Index::open_or_create(directory, schema.build()).map_err(failed)?;
        index.tokenizers().register("clinical", Clinical);
        let writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES).map_err(failed)?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_num_segments(MERGE_SEGMENTS);
        writer.set_merge_policy(Box::new(policy));
        let builder = index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader = builder.try_into().map_err(failed)?;
        let payload = index.load_metas().map_err(failed)?.payload;
        let change_no = payload.and_then(|text| text.parse().ok()).unwrap_or(0);
        let writing = Mutex::new(Writing { writer, waiting: 0, change_no });
        Ok(Self { index, fields, reader, handles: Handles::new(keys.handle.clone()), writing })
    }

    /// The vault's change number at the last commit.
    pub fn change_no(&self) -> u64 {
        self.writing().change_no
    }

    /// Adds records, in place of the versions they supersede. `change_no` is the vault's, with these records in it.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if a commit that was due fails.
    pub fn add(&self, docs: &[IndexDoc], change_no: u64) -> Result<(), EdgeError> {
        let mut writing = self.writing();
        for doc in docs {
            let prev = doc.meta.prev.and_then(|handle| self.handles.open(handle));
            if let Some((patient, local_no)) = prev {
                let address = self.address_query(patient, local_no);
                writing.writer.delete_query(address).map_err(failed)?;
            }
            writing.writer.add_document(self.document(doc)).map_err(failed)?;
            writing.waiting += 1;
        }
        writing.change_no = change_no;
        if writing.waiting >= COMMIT_RECORDS {
            self.commit_waiting(&mut writing)?;
        }
        Ok(())
    }

    /// Makes what was added durable and visible.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the files cannot be written.
    pub fn commit(&self) -> Result<(), EdgeError> {
        self.commit_waiting(&mut self.writing())
    }

    /// Starts over: everything is deleted, then `fill` adds; nothing is visible before all of it is.
    ///
    /// # Errors
    /// [`EdgeError::Storage`], or what `fill` returned; the old index stands then.
    pub fn rebuild(
        &self,
        change_no: u64,
        fill: impl FnOnce(&mut dyn FnMut(&IndexDoc) -> Result<(), EdgeError>) -> Result<(), EdgeError>,
    ) -> Result<(), EdgeError> {
        let mut writing = self.writing();
        writing.writer.delete_all_documents().map_err(failed)?;
        let filled = fill(&mut |doc| {
            writing.writer.add_document(self.document(doc)).map(drop).map_err(failed)
        });
        if let Err(error) = filled {
            writing.writer.rollback().map_err(failed)?;
            return Err(error);
        }
        writing.change_no = change_no;
        writing.waiting += 1; // an empty vault is a change, too
        self.commit_waiting(&mut writing)
    }

    /// Deletes a patient's records and rewrites the segments that held them, so that no file holds a word of theirs.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the files cannot be written.
    pub fn erase_patient(&self, patient: PatientNo, change_no: u64) -> Result<(), EdgeError> {
        let mut writing = self.writing();
        writing.writer.delete_term(Term::from_field_u64(self.fields.patient_no, patient.0));
        writing.change_no = change_no;
        writing.waiting += 1;
        self.commit_waiting(&mut writing)?;
        let segments = self.index.searchable_segment_ids().map_err(failed)?;
        if !segments.is_empty() {
            writing.writer.merge(&segments).wait().map_err(failed)?;
        }
        self.reader.reload().map_err(failed)?;
        writing.writer.garbage_collect_files().wait().map_err(failed)?;
        Ok(())
    }

    /// The records that answer a question, the best `limit` of them, and how many patients have one.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the files are damaged.
    pub fn search(&self, query: &Query, limit: usize) -> Result<Hits, EdgeError> {
        self.commit()?;
        let searcher = self.reader.searcher();
        let parts = self.parts(query);
        let whole = self.whole(query, &parts);
        let top = TopDocs::with_limit(limit.clamp(1, MAX_HITS)).order_by_score();
        let (patients, top) = searcher.search(&whole, &(Patients, top)).map_err(failed)?;
        let hits = top
            .into_iter()
            .take(limit)
            .map(|(score, address)| self.hit(&searcher, address, score, &parts).map_err(failed));
        Ok(Hits { hits: hits.collect::<Result<_, _>>()?, patients: patients.len() as u64 })
    }

    fn hit(
        &self,
        searcher: &Searcher,
        address: DocAddress,
        score: Score,
        parts: &[Vec<Part>],
    ) -> tantivy::Result<Hit> {
        let segment = searcher.segment_reader(address.segment_ord);
        let read = |field: &str| -> tantivy::Result<u64> {
            Ok(segment.fast_fields().u64(field)?.first(address.doc_id).unwrap_or_default())
        };
        let patient_no = PatientNo(read("patient_no")?);
        let local_no = u32::try_from(read("local_no")?).unwrap_or_default();
        let kind = Kind::from_code(u16::try_from(read("kind")?).unwrap_or_default());
        let mut why = Vec::new();
        for part in parts.iter().flatten() {
            let weight = part.query.weight(EnableScoring::disabled_from_searcher(searcher))?;
            let mut docs = weight.scorer(segment, 1.0)?;
            if docs.doc() <= address.doc_id && docs.seek(address.doc_id) == address.doc_id {
                why.push(part.name.clone());
            }
        }
        let handle = self.handles.seal(patient_no, local_no);
        Ok(Hit { handle, kind, patient_no, local_no, score, why })
    }

    /// The parts of a question that must hold, each with its alternatives.
    fn parts(&self, query: &Query) -> Vec<Vec<Part>> {
        let concept = |(system, code): &(String, String)| Part {
            name: term(system, code),
            query: self.token(self.fields.keyword, &term(system, code)),
        };
        let denied = |(system, code): &(String, String)| {
            let name = format!("no {}", term(system, code));
            vec![Part { name, query: self.token(self.fields.negated, &term(system, code)) }]
        };
        let words = |words: &String| {
            vec![Part { name: format!("text \"{words}\""), query: self.phrase(words) }]
        };
        let concepts = query.all.iter().map(|any| any.iter().map(concept).collect());
        let denied = query.negated.iter().map(denied);
        concepts.chain(denied).chain(query.words.iter().map(words)).collect()
    }

    fn whole(&self, query: &Query, parts: &[Vec<Part>]) -> BooleanQuery {
        let mut clauses: Vec<(Occur, Box<dyn TantivyQuery>)> = Vec::new();
        for any in parts {
            let any = any.iter().map(|part| (Occur::Should, part.query.box_clone())).collect();
            clauses.push((Occur::Must, Box::new(BooleanQuery::new(any))));
        }
        for (system, code) in query.none.iter().flatten() {
            let token = self.token(self.fields.keyword, &term(system, code));
            clauses.push((Occur::MustNot, token));
        }
        if let Some(kinds) = &query.kinds {
            let kind = |kind: &u16| -> (Occur, Box<dyn TantivyQuery>) {
                let wanted = Term::from_field_u64(self.fields.kind, (*kind).into());
                (Occur::Should, Box::new(TermQuery::new(wanted, IndexRecordOption::Basic)))
            };
            let any = BooleanQuery::new(kinds.iter().map(kind).collect());
            clauses.push((Occur::Must, Box::new(any)));
        }
        if query.from.is_some() || query.to.is_some() {
            let bound = |moment: Option<i64>| {
                moment.map_or(Bound::Unbounded, |moment| {
                    Bound::Included(Term::from_field_i64(self.fields.date, moment))
                })
            };
            let range = RangeQuery::new(bound(query.from), bound(query.to));
            clauses.push((Occur::Must, Box::new(range)));
        }
        clauses.push((Occur::Must, Box::new(AllQuery))); // a question of exclusions alone has an answer
        BooleanQuery::new(clauses)
    }

    fn token(&self, field: Field, text: &str) -> Box<dyn TantivyQuery> {
        Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
    }

    fn phrase(&self, text: &str) -> Box<dyn TantivyQuery> {
        let token = |token: normalise::Token| Term::from_field_text(self.fields.text, &token.word);
        let mut terms: Vec<Term> = normalise::tokens(text).into_iter().map(token).collect();
        match (terms.len(), terms.pop()) {
            (1, Some(term)) => Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)),
            (_, Some(last)) => {
                terms.push(last);
                Box::new(PhraseQuery::new(terms))
            }
            (_, None) => Box::new(EmptyQuery),
        }
    }

    fn address_query(&self, patient: PatientNo, local_no: u32) -> Box<dyn TantivyQuery> {
        let number = |field, value| -> (Occur, Box<dyn TantivyQuery>) {
            let wanted = Term::from_field_u64(field, value);
            (Occur::Must, Box::new(TermQuery::new(wanted, IndexRecordOption::Basic)))
        };
        Box::new(BooleanQuery::new(vec![
            number(self.fields.patient_no, patient.0),
            number(self.fields.local_no, local_no.into()),
        ]))
    }

    fn document(&self, doc: &IndexDoc) -> TantivyDocument {
        let fields = &self.fields;
        let mut out = TantivyDocument::new();
        out.add_u64(fields.patient_no, doc.meta.patient_no.0);
        out.add_u64(fields.local_no, doc.meta.local_no.into());
        out.add_u64(fields.kind, doc.meta.kind.code().into());
        out.add_u64(fields.confidentiality, doc.meta.confidentiality.into());
        for (field, tokens) in [
            (fields.code, &doc.codes),
            (fields.keyword, &doc.keywords),
            (fields.negated, &doc.negated),
            (fields.family, &doc.family),
            (fields.past, &doc.past),
            (fields.possible, &doc.possible),
        ] {
            tokens.iter().for_each(|token| out.add_text(field, token));
        }
        out.add_text(fields.text, &doc.text);
        if let Some(date) = doc.meta.date {
            out.add_i64(fields.date, date);
        }
        out
    }

    fn commit_waiting(&self, writing: &mut Writing) -> Result<(), EdgeError> {
        if writing.waiting == 0 {
            return Ok(());
        }
        let payload = writing.change_no.to_string();
        let mut prepared = writing.writer.prepare_commit().map_err(failed)?;
        prepared.set_payload(&payload);
        prepared.commit().map_err(failed)?;
        writing.waiting = 0;
        self.reader.reload().map_err(failed)
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().expect("no thread panics while it writes the index")
    }
}

/// One alternative of a part of a question, with the name it has in an answer.
struct Part {
    name: String,
    query: Box<dyn TantivyQuery>,
}

/// Collects the distinct patients of all matching records.
struct Patients;

struct PatientsOfSegment {
    column: Column<u64>,
    patients: HashSet<u64>,
}

impl Collector for Patients {
    type Fruit = HashSet<u64>;
    type Child = PatientsOfSegment;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<PatientsOfSegment> {
        let column = segment.fast_fields().u64("patient_no")?;
        Ok(PatientsOfSegment { column, patients: HashSet::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<HashSet<u64>>) -> tantivy::Result<HashSet<u64>> {
        let mut patients: HashSet<u64> = segments.into_iter().flatten().collect();
        patients.remove(&SHARED.0);
        Ok(patients)
    }
}

impl SegmentCollector for PatientsOfSegment {
    type Fruit = HashSet<u64>;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.patients.extend(self.column.first(doc));
    }

    fn harvest(self) -> HashSet<u64> {
        self.patients
    }
}

/// tantivy's door to the terminology's normaliser.
#[derive(Clone)]
struct Clinical;

struct ClinicalTokens {
    tokens: std::vec::IntoIter<normalise::Token>,
    token: Token,
}

impl Tokenizer for Clinical {
    type TokenStream<'a> = ClinicalTokens;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> ClinicalTokens {
        ClinicalTokens { tokens: normalise::tokens(text).into_iter(), token: Token::default() }
    }
}

impl TokenStream for ClinicalTokens {
    fn advance(&mut self) -> bool {
        let Some(next) = self.tokens.next() else { return false };
        self.token = Token {
            offset_from: next.start,
            offset_to: next.end,
            position: self.token.position.wrapping_add(1), // the first wraps from tantivy's default to 0
            position_length: 1,
            text: next.word,
        };
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
