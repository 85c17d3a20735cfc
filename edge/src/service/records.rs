//! The way to the institution's own records: in, anchored, found, looked up for a delivery, and logged.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::B256;
use alloy_sol_types::SolCall;
use contracts::{abi::RecordRegistry, leaf::preimage, networks};

use super::{
    Edge,
    facts::Signed,
    messages::ControlIds,
    now_secs,
    search::{SearchQuery, Term},
};
use crate::{
    access::{
        Candidate,
        request::{Code, RecordFacts, Scope},
    },
    anchor::{Anchors, ClosedBatch},
    audit::{Act, AuditLog, Entry, Phase},
    delivery::{frame::Frame, offer::OfferDoc},
    error::EdgeError,
    extract::query_terms,
    index::{Index, Query},
    ingest,
    intake::Intake,
    keys::Keys,
    model::{
        Assertion, Handle, Severity,
        json::{self, Value},
    },
    onchain::{InstId, submit::Sent, tables::Tables},
    peer::signature::Basis,
    quarantine::Quarantine,
    standardize::{self, Tables as Maps},
    vault::Vault,
};

/// Largest file that is read in one piece.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The stores of one edge.
#[derive(Debug)]
pub struct Records {
    institution: InstId,
    pub(super) intake: Intake,
    pub(super) quarantine: Quarantine,
    pub(super) control_ids: ControlIds,
    vault: Arc<Vault>,
    index: Arc<Index>,
    anchors: Arc<Anchors>,
    audit: AuditLog,
    pub(super) maps: Arc<Maps>,
}

/// What became of a folder's files.
#[derive(Debug, Clone, Default)]
pub struct IngestReport {
    /// Files read.
    pub files: usize,
    /// Items in them.
    pub items: usize,
    /// Items that had been accepted before.
    pub repeated: usize,
    /// Records made of them.
    pub records: usize,
    /// Issues of warning level and above, as sentences that quote no value.
    pub issues: Vec<String>,
    /// Items that could not be accepted, with the reason; those that could be cut out of their file are in quarantine.
    pub refused: Vec<String>,
}

/// A batch that stands on chain.
#[derive(Debug, Clone)]
pub struct AnchorReport {
    /// Its number.
    pub seq: u64,
    /// Records in it.
    pub records: usize,
    /// Its root.
    pub root: B256,
    /// Its depth: 2^size_log2 leaves, padding included.
    pub size_log2: u8,
    /// The transaction; `None` if it stood on chain already.
    pub sent: Option<Sent>,
}

/// A record that a scope admits.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) handle: Handle,
    kind: u16,
    date: Option<i64>,
    codes: Vec<(String, String)>,
    batch: Option<(u64, B256)>,
    index: u32,
    institution: InstId,
}

impl Found {
    /// What the release check looks at: anchored means that the chain shows this edge's root under the batch's number.
    pub(super) fn candidate(&self, tables: &Tables) -> Candidate<'_> {
        let anchored = self.batch.is_some_and(|(seq, root)| {
            tables.batches.get(&(self.institution, seq)).is_some_and(|batch| batch.root == root)
        });
        let withdrawn = self.batch.is_some_and(|(seq, _)| {
            tables.withdrawn.contains(&(self.institution, seq, self.index))
        });
        let facts = RecordFacts { kind: self.kind, date: self.date, codes: &self.codes };
        Candidate { facts, anchored, withdrawn }
    }
}

impl Records {
    /// Opens the stores of a folder.
    ///
    /// # Errors
    /// As their parts: in use, damaged, not readable.
    pub(super) fn open(
        folder: &Path,
        keys: &Keys,
        institution: InstId,
        maps: Arc<Maps>,
    ) -> Result<Records, EdgeError> {
        let intake = Intake::open(folder, keys)?;
        Ok(Records {
            institution,
            vault: Arc::clone(intake.vault()),
            index: Arc::clone(intake.index()),
            anchors: Arc::clone(intake.anchors()),
            audit: AuditLog::open(folder, keys.store_keys())?,
            quarantine: Quarantine::open(folder, keys.store_keys())?,
            control_ids: ControlIds::default(),
            maps,
            intake,
        })
    }

    /// The codes a person's words stand for.
    pub(super) fn codes_of(&self, words: &str) -> Vec<Code> {
        let terms = query_terms(words, &self.maps.terminology);
        terms.into_iter().map(|(system, code)| Code { system, code }).collect()
    }

    /// How many distinct patients have a record that meets a question.
    pub(super) fn count_patients(&self, query: &SearchQuery) -> Result<u64, EdgeError> {
        let expand = |terms: &[Term]| -> Vec<Vec<(String, String)>> {
            terms
                .iter()
                .map(|term| match term {
                    Term::Code { system, code } => vec![(system.clone(), code.clone())],
                    Term::Text { text } => query_terms(text, &self.maps.terminology),
                })
                .collect()
        };
        let query = Query {
            all: expand(&query.all),
            none: expand(&query.none),
            kinds: query.kinds.clone(),
            from: query.from,
            to: query.to,
            ..Query::default()
        };
        Ok(self.index.search(&query, 1)?.patients)
    }

    /// Records that a scope admits, by what the vault says of them.
    pub(super) fn in_scope(&self, scope: &Scope) -> Result<Vec<Found>, EdgeError> {
        let mut found = Vec::new();
        for meta in self.vault.iter_metas()?.into_iter().filter(|meta| meta.current) {
            let kind = meta.kind.code();
            if scope.kinds.as_ref().is_some_and(|kinds| !kinds.contains(&kind)) {
                continue;
            }
            let Some(record) = self.vault.get(meta.handle)? else { continue };
            // as the index has it: what the patient has or had counts, what is denied or a relative's does not
            let has = [Assertion::Present, Assertion::Past];
            let affirmed = record.keywords.iter().filter(|k| has.contains(&k.assertion));
            let codes: Vec<(String, String)> =
                affirmed.map(|k| (k.system.clone(), k.code.clone())).collect();
            if !scope.admits(RecordFacts { kind, date: meta.date, codes: &codes }) {
                continue;
            }
            let proof = match self.anchors.proof_of(&record) {
                // this edge's own check: what no longer matches its leaf is not handed out, and its operator is told
                Err(error @ EdgeError::Integrity { .. }) => {
                    tracing::error!(%error, record = %meta.handle, "a record is left out of a delivery");
                    None
                }
                other => other?,
            };
            found.push(Found {
                handle: meta.handle,
                kind,
                date: meta.date,
                codes,
                batch: proof.as_ref().map(|proof| (proof.batch_seq, proof.root)),
                index: proof.map_or(0, |proof| proof.index),
                institution: self.institution,
            });
        }
        Ok(found)
    }

    /// A record as it is delivered: its current bytes, the leaf they give, the path of the leaf that was anchored.
    pub(super) fn frame(&self, handle: Handle) -> Result<Frame, EdgeError> {
        let gone = || EdgeError::integrity("the record is gone", handle.to_string());
        let record = self.vault.get(handle)?.ok_or_else(gone)?;
        let proof = self.anchors.proof_of(&record)?.ok_or_else(gone)?;
        let leaf = preimage(&proof.leaf);
        Ok(Frame {
            inst: self.institution,
            batch_seq: proof.batch_seq,
            index: proof.index,
            preimage: leaf
                .try_into()
                .map_err(|_| EdgeError::Internal("a leaf's preimage is 384 bytes".into()))?,
            content_nonce: proof.content_nonce,
            siblings: proof.siblings,
            content: record.bytes,
        })
    }

    /// Reads a file, splits it into items, stores each.
    fn ingest_file(&self, path: &Path, report: &mut IngestReport) -> Result<(), EdgeError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let length = std::fs::metadata(path).map_err(|e| EdgeError::io(path, e))?.len();
        if length > MAX_FILE_BYTES {
            report.refused.push(format!("{name}: larger than 256 MiB"));
            return Ok(());
        }
        let bytes = std::fs::read(path).map_err(|e| EdgeError::io(path, e))?;
        report.files += 1;
        let declared = ingest::declared_by_name(&name);
        let items = match ingest::read(&self.source(), declared, &bytes) {
            Ok(items) => items,
            Err(issue) => {
                report.refused.push(format!("{name}: {issue}"));
                return Ok(());
            }
        };
        for item in items {
            report.items += 1;
            match standardize::standardize(&item, &self.maps) {
                Ok(standardized) => {
                    let grave =
                        standardized.issues.iter().filter(|i| i.severity >= Severity::Warning);
                    report.issues.extend(grave.map(|issue| format!("{name}: {issue}")));
                    let accepted = self.intake.accept(standardized)?;
                    report.repeated += usize::from(accepted.repeated);
                    report.records += accepted.records.len();
                }
                Err(issues) => {
                    let why = issues.last().map(ToString::to_string).unwrap_or_default();
                    report.refused.push(format!("{name}: {why}"));
                    self.quarantine.put(&item, &issues, now_secs(), &self.maps.versions())?;
                }
            }
        }
        Ok(())
    }

    /// The name under which this institution's own folders send; it makes natural keys its own.
    pub(super) fn source(&self) -> String {
        format!("urn:msnet:inst:{}", self.institution)
    }

    /// Step 11 of the release check: what is about to leave, for whom, on which ground.
    pub(super) fn log_release(
        &self,
        signed: &Signed,
        grant_id: B256,
        handles: &[Handle],
        dropped: &[(usize, &'static str)],
    ) -> Result<(), EdgeError> {
        for (_, code) in dropped {
            let entry = self.entry(signed, Some(grant_id), Act::Refuse, Phase::NotSent);
            self.audit.append(&Entry { code: Some((*code).to_owned()), ..entry })?;
        }
        let entry = self.entry(signed, Some(grant_id), Act::Release, Phase::Intended);
        self.audit.append(&Entry { handles: handles.to_vec(), ..entry }).map(drop)
    }

    pub(super) fn log_refusal(
        &self,
        signed: &Signed,
        grant_id: B256,
        code: &str,
    ) -> Result<(), EdgeError> {
        let entry = self.entry(signed, Some(grant_id), Act::Refuse, Phase::NotSent);
        self.audit.append(&Entry { code: Some(code.to_owned()), ..entry }).map(drop)
    }

    /// The key of a delivery is about to be given: from here on the recipient can read.
    pub(super) fn log_key(&self, signed: &Signed, offer: &OfferDoc) -> Result<(), EdgeError> {
        let entry = self.entry(signed, Some(offer.grant_id), Act::Key, Phase::Intended);
        self.audit.append(&entry).map(drop)
    }

    pub(super) fn log_search(&self, signed: &Signed) -> Result<(), EdgeError> {
        let entry = self.entry(signed, None, Act::Search, Phase::Intended);
        self.audit.append(&entry).map(drop)
    }

    /// The recipient's side of an exchange: both log it, so that neither can hide it alone.
    pub(super) fn log_received(
        &self,
        owner: InstId,
        offer: &OfferDoc,
        handles: &[Handle],
    ) -> Result<(), EdgeError> {
        let entry = self.own_entry(Act::Look, Some(offer.grant_id));
        self.audit.append(&Entry { party: owner, handles: handles.to_vec(), ..entry }).map(drop)
    }

    /// A decision of this institution.
    pub(super) fn log_decision(&self, grant_id: B256, code: &str) -> Result<(), EdgeError> {
        let entry = self.own_entry(Act::Decide, Some(grant_id));
        self.audit.append(&Entry { code: Some(code.to_owned()), ..entry }).map(drop)
    }

    /// An act of this institution on its own records.
    pub(super) fn log_own(&self, act: Act, code: &str) -> Result<(), EdgeError> {
        let entry = self.own_entry(act, None);
        self.audit.append(&Entry { code: Some(code.to_owned()), ..entry }).map(drop)
    }

    fn own_entry(&self, act: Act, grant_id: Option<B256>) -> Entry {
        Entry {
            at: now_secs(),
            act,
            lane: "project",
            party: self.institution,
            actor: self.institution.to_string(),
            basis: "own".into(),
            basis_id: grant_id.unwrap_or_default(),
            purpose: 0,
            handles: Vec::new(),
            phase: Phase::Sent,
            code: None,
            stale: false,
        }
    }

    fn entry(&self, signed: &Signed, grant_id: Option<B256>, act: Act, phase: Phase) -> Entry {
        let basis = match signed.parts.basis {
            Basis::Grant(_) => "grant",
            Basis::Search => "search",
        };
        Entry {
            party: signed.party,
            actor: signed.parts.actor.to_string(),
            basis: basis.into(),
            purpose: signed.parts.purpose,
            phase,
            ..self.own_entry(act, grant_id)
        }
    }
}

impl Edge {
    /// Reads every file of a folder, in name order; `progress` is told each file's name when it is done.
    ///
    /// # Errors
    /// [`EdgeError::Io`] if the folder or a file cannot be read, storage errors. A file that makes no sense is no error: it
    /// stands in the report.
    pub async fn ingest_folder(
        &self,
        folder: &Path,
        progress: impl Fn(&str) + Send + 'static,
    ) -> Result<IngestReport, EdgeError> {
        let edge = self.clone();
        let folder = folder.to_owned();
        let work = move || {
            let mut report = IngestReport::default();
            for path in files_of(&folder)? {
                edge.inner.records.ingest_file(&path, &mut report)?;
                progress(&path.file_name().unwrap_or_default().to_string_lossy());
            }
            Ok(report)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| EdgeError::Internal(format!("the reader of the folder died: {e}")))?
    }

    /// Closes a batch over all waiting records and puts its root on chain; also sends again what a crash left closed.
    /// `None` if nothing waits.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] with the contract's refusal, storage errors.
    pub async fn anchor_now(&self) -> Result<Option<AnchorReport>, EdgeError> {
        let records = &self.inner.records;
        let mut report = None;
        for (batch, _) in records.anchors.unanchored() {
            report = Some(self.anchor(batch).await?);
        }
        while let Some(batch) = records.anchors.close_batch()? {
            report = Some(self.anchor(batch).await?);
        }
        Ok(report)
    }

    /// Puts one root on chain, unless it stands there already.
    async fn anchor(&self, batch: ClosedBatch) -> Result<AnchorReport, EdgeError> {
        let inner = &self.inner;
        let there = inner
            .follower
            .read(|tables| tables.batches.get(&(inner.institution, batch.seq)).cloned());
        let mut report = AnchorReport {
            seq: batch.seq,
            records: batch.records,
            root: batch.root,
            size_log2: batch.size_log2,
            sent: None,
        };
        if let Some(on_chain) = there {
            if on_chain.root != batch.root {
                return Err(EdgeError::integrity(
                    "the chain has another root under this number; this folder was restored from a backup",
                    format!("batch {}", batch.seq),
                ));
            }
            inner.records.anchors.mark_anchored(batch.seq, B256::ZERO, on_chain.block_number)?;
            return Ok(report);
        }
        let call = RecordRegistry::anchorCall {
            inst: inner.institution,
            seq: batch.seq,
            prevRoot: batch.prev_root,
            root: batch.root,
            sizeLog2: batch.size_log2,
            schema: batch.schema,
        };
        let sent = self.act(networks::RECORD_REGISTRY, call.abi_encode()).await?;
        inner.records.anchors.mark_anchored(batch.seq, sent.hash, sent.block_number)?;
        report.sent = Some(sent);
        Ok(report)
    }

    /// The codes a person's words stand for: what a scope names.
    pub fn codes_of(&self, words: &str) -> Vec<Code> {
        self.inner.records.codes_of(words)
    }

    /// How many records and patients this edge keeps. For its own operator, never for others.
    ///
    /// # Errors
    /// Storage errors.
    pub fn own_counts(&self) -> Result<(usize, usize), EdgeError> {
        let records = &self.inner.records;
        Ok((records.vault.iter_metas()?.len(), records.vault.patient_count()?))
    }

    /// Breaks the first record that `scope` admits and that `alter` changes, as an insider would: the value is sealed again,
    /// and this edge's own check before a delivery is switched off. For `msnet demo` alone.
    ///
    /// # Errors
    /// [`EdgeError::Permission`] without the demo's switch; [`EdgeError::Input`] if nothing was changed.
    pub fn alter_for_demo(
        &self,
        scope: &Scope,
        mut alter: impl FnMut(&mut Value) -> bool,
    ) -> Result<Handle, EdgeError> {
        if !self.inner.demo_switches {
            return Err(EdgeError::Permission {
                code: "DEMO_ONLY",
                step: 0,
                title: "records are altered by the demo alone".into(),
                fix: "run msnet demo".into(),
            });
        }
        let records = &self.inner.records;
        for found in records.in_scope(scope)? {
            let Some(record) = records.vault.get(found.handle)? else { continue };
            let Ok(mut value) = json::parse(&record.bytes) else { continue };
            if alter(&mut value) {
                records.vault.alter_for_demo(found.handle, |stored| *stored = value)?;
                records.anchors.set_insider(true);
                return Ok(found.handle);
            }
        }
        Err(EdgeError::input("no record was changed", "alter_for_demo", "widen the scope"))
    }

    /// Puts an altered record back and switches the self-check on again, so that the folder is sound after the demo.
    ///
    /// # Errors
    /// Storage errors.
    pub fn undo_alteration(
        &self,
        handle: Handle,
        restore: impl FnOnce(&mut Value),
    ) -> Result<(), EdgeError> {
        let records = &self.inner.records;
        records.vault.alter_for_demo(handle, restore)?;
        records.anchors.set_insider(false);
        Ok(())
    }
}

/// The plain files of a folder, by name; a single file is a folder of one.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, EdgeError> {
    let io = |e| EdgeError::io(folder, e);
    if std::fs::metadata(folder).map_err(io)?.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
