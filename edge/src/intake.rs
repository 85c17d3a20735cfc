//! The one way in: a standardized item is sealed, made findable, and waits to be anchored.
//!
//! The vault's log is the commit point; the index follows and is rebuilt from the vault if it has missed something.
use std::{
    path::Path,
    sync::{Arc, Mutex},
};

pub use crate::vault::Accepted;
use crate::{
    anchor::Anchors,
    error::EdgeError,
    index::{Index, IndexDoc},
    keys::{Keys, StoreKeys},
    model::{PatientNo, Standardized},
    stores::local,
    vault::Vault,
};

/// The stores of one edge, opened together.
#[derive(Debug)]
pub struct Intake {
    vault: Arc<Vault>,
    index: Arc<Index>,
    anchors: Arc<Anchors>,
    /// Items enter one after another, so that the index's change number never runs ahead of its records.
    entering: Mutex<()>,
}

impl Intake {
    /// Opens the stores of a data folder; an index that is damaged or has missed something is rebuilt.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the folder is in use, [`EdgeError::Integrity`] naming what is damaged, [`EdgeError::Io`].
    pub fn open(dir: &Path, keys: &Keys) -> Result<Self, EdgeError> {
        let keys = keys.store_keys();
        let vault = Arc::new(Vault::open(dir, keys)?);
        let anchors = Arc::new(Anchors::open(dir, Arc::clone(&vault), keys)?);
        let index = Arc::new(open_index(dir, keys, &vault)?);
        Ok(Self { vault, index, anchors, entering: Mutex::new(()) })
    }

    /// Takes an item in. When this returns it is on disk; a repeated item is answered from the first result.
    ///
    /// # Errors
    /// As [`Vault::accept`]; [`EdgeError::Storage`] if the index does not work, while the item is kept.
    pub fn accept(&self, standardized: Standardized) -> Result<Accepted, EdgeError> {
        self.accept_all(vec![standardized])?.remove(0)
    }

    /// Takes items in with one fsync; each has its own result. When this returns, those that were accepted are on disk.
    ///
    /// # Errors
    /// As [`Intake::accept`], if the stores do not work.
    pub fn accept_all(
        &self,
        items: Vec<Standardized>,
    ) -> Result<Vec<Result<Accepted, EdgeError>>, EdgeError> {
        let _one = self.entering.lock().expect("no thread panics while an item enters");
        let before = self.vault.change_no();
        let accepted = self.vault.accept_all(&items)?;
        if self.vault.change_no() > before {
            let mut docs = Vec::new();
            let fresh = accepted.iter().flatten().filter(|accepted| !accepted.repeated);
            for meta in fresh.flat_map(|accepted| &accepted.records) {
                let record = self.vault.get(meta.handle)?;
                docs.extend(record.filter(|r| r.meta.current).map(|r| IndexDoc::of(&r)));
            }
            self.index.add(&docs, self.vault.change_no())?;
        }
        // Only now: what is fresh is read from memory.
        self.vault.flush_if_due()?;
        Ok(accepted)
    }

    /// Erases a patient from vault, index and batches.
    ///
    /// # Errors
    /// As the three; erasing again after an error finishes the work.
    pub fn erase_patient(&self, patient: PatientNo) -> Result<usize, EdgeError> {
        let _one = self.entering.lock().expect("no thread panics while an item enters");
        let erased = self.vault.erase_patient(patient)?;
        self.index.erase_patient(patient, self.vault.change_no())?;
        self.anchors.forget(&erased.handles)?;
        Ok(erased.handles.len())
    }

    /// The store of records.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// The search index.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// The batches.
    pub fn anchors(&self) -> &Arc<Anchors> {
        &self.anchors
    }
}

fn open_index(dir: &Path, keys: &StoreKeys, vault: &Vault) -> Result<Index, EdgeError> {
    let index = match Index::open(dir, keys) {
        Ok(index) => index,
        Err(error) => {
            tracing::warn!(%error, "the search index does not open and is rebuilt");
            let folder = dir.join("index");
            std::fs::remove_dir_all(&folder).map_err(|source| EdgeError::io(&folder, source))?;
            local::create_folder(&folder)?;
            Index::open(dir, keys)?
        }
    };
    if index.change_no() != vault.change_no() {
        index.rebuild(vault.change_no(), |add| {
            vault.for_each(|record| match record.meta.current {
                true => add(&IndexDoc::of(&record)),
                false => Ok(()),
            })
        })?;
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        index::Query,
        model::Assertion,
        vault::vault_test::{MARKER, files_with, folder, item, patient_item, record},
    };

    fn concept() -> Query {
        let code = format!("{MARKER}-concept");
        Query { all: vec![vec![("http://example.org/concepts".into(), code)]], ..Query::default() }
    }

    fn code() -> Query {
        let code = format!("{MARKER}-code");
        Query { all: vec![vec![("http://example.org/codes".into(), code)]], ..Query::default() }
    }

    fn words(words: &str) -> Query {
        Query { words: vec![words.into()], ..Query::default() }
    }

    #[test]
    fn what_enters_is_found_before_and_after_a_kill_and_lies_nowhere_in_clear() {
        let (dir, keys) = folder();
        let intake = Intake::open(dir.path(), &keys).expect("opens");
        for name in ["a", "b", "c"] {
            intake.accept(patient_item(name, 5)).expect("accepted");
        }
        intake
            .accept(item("dr", vec![record("Practitioner", "dr", None, "v", &[])]))
            .expect("accepted");
        let check = |intake: &Intake| {
            // what is written about people (four records) is no search word
            let texts = [(words("disease of the heart"), 15), (words("DISEASES"), 15)];
            for (query, expected) in [(concept(), 19), (code(), 19)].into_iter().chain(texts) {
                let found = intake.index().search(&query, 100).expect("searched");
                assert_eq!((found.hits.len(), found.patients), (expected, 3), "{query:?}");
                assert!(found.hits.iter().all(|hit| hit.why.len() == 1), "{:?}", found.hits[0].why);
                let hit = &found.hits[0];
                let record = intake.vault().get(hit.handle).expect("read").expect("there");
                assert_eq!((record.meta.kind, record.meta.local_no), (hit.kind, hit.local_no));
            }
            for query in [words("heart disease"), words("kidney"), words("")] {
                let found = intake.index().search(&query, 100).expect("searched");
                assert_eq!((found.hits.len(), found.patients), (0, 0), "{query:?}");
            }
            let patients = Query { kinds: Some(vec![1]), ..concept() };
            let found = intake.index().search(&patients, 1).expect("searched");
            assert_eq!((found.hits.len(), found.patients), (1, 3));
            let late = Query { from: Some(1_700_000_001), ..concept() };
            assert_eq!(intake.index().search(&late, 1).expect("searched").patients, 0);
            let none = Query { none: concept().all, ..code() };
            assert_eq!(intake.index().search(&none, 1).expect("searched").patients, 0);
        };
        check(&intake);
        intake.anchors().close_batch().expect("closed");
        intake.accept(patient_item("a", 5)).expect("repeated");
        drop(intake); // without closing
        check(&Intake::open(dir.path(), &keys).expect("opens"));
        assert_eq!(files_with(dir.path(), MARKER.as_bytes()), Vec::<std::path::PathBuf>::new());
        // The same with text that tantivy keeps in lower case.
        let lower = MARKER.to_lowercase();
        assert_eq!(files_with(dir.path(), lower.as_bytes()), Vec::<std::path::PathBuf>::new());
    }

    #[test]
    fn an_index_that_was_lost_or_damaged_is_rebuilt() {
        let (dir, keys) = folder();
        let intake = Intake::open(dir.path(), &keys).expect("opens");
        intake.accept(patient_item("a", 5)).expect("accepted");
        intake.index().commit().expect("committed");
        drop(intake);
        let meta = dir.path().join("index/meta.json");
        std::fs::write(&meta, b"damaged").expect("written");
        let intake = Intake::open(dir.path(), &keys).expect("opens");
        assert_eq!(intake.index().search(&concept(), 10).expect("searched").hits.len(), 6);
        drop(intake);
        std::fs::remove_dir_all(dir.path().join("index")).expect("removed");
        let intake = Intake::open(dir.path(), &keys).expect("opens");
        assert_eq!(intake.index().search(&concept(), 10).expect("searched").hits.len(), 6);
    }

    #[test]
    fn a_new_version_takes_the_place_of_the_old_one() {
        let (dir, keys) = folder();
        let intake = Intake::open(dir.path(), &keys).expect("opens");
        let with =
            |bytes, value| item(bytes, vec![record("Condition", "c", Some("p"), value, &[])]);
        intake.accept(with("1", "before")).expect("accepted");
        assert_eq!(intake.index().search(&words("before"), 10).expect("searched").patients, 1);
        intake.accept(with("2", "after")).expect("accepted");
        assert_eq!(intake.index().search(&words("before"), 10).expect("searched").patients, 0);
        assert_eq!(intake.index().search(&words("after"), 10).expect("searched").patients, 1);
    }

    #[test]
    fn what_is_denied_is_not_found_as_affirmed() {
        let (dir, keys) = folder();
        let intake = Intake::open(dir.path(), &keys).expect("opens");
        let mut denied = record("Condition", "c", Some("p"), "v", &[]);
        denied.keywords[0].assertion = Assertion::Negated;
        let coding =
            crate::model::json::parse(br#"{"coding":[{"code":"refuted"}]}"#).expect("JSON");
        denied.resource.set("verificationStatus", coding);
        intake.accept(item("1", vec![denied])).expect("accepted");
        for query in [concept(), code()] {
            assert_eq!(intake.index().search(&query, 10).expect("searched").patients, 0);
        }
        let fever = Query { negated: concept().all.remove(0), ..Query::default() };
        let found = intake.index().search(&fever, 10).expect("searched");
        assert_eq!((found.patients, found.hits[0].why[0].starts_with("no ")), (1, true));
    }

    #[test]
    fn an_erased_patient_is_found_no_more() {
        let (dir, keys) = folder();
        let intake = Intake::open(dir.path(), &keys).expect("opens");
        let a = intake.accept(patient_item("a", 5)).expect("accepted").records;
        intake.accept(patient_item("b", 5)).expect("accepted");
        assert_eq!(intake.index().search(&concept(), 1).expect("searched").patients, 2);
        assert_eq!(intake.erase_patient(a[0].patient_no).expect("erased"), 6);
        assert_eq!(intake.index().search(&concept(), 1).expect("searched").patients, 1);
        drop(intake);
        let intake = Intake::open(dir.path(), &keys).expect("opens");
        assert_eq!(intake.index().search(&concept(), 1).expect("searched").patients, 1);
    }
}
