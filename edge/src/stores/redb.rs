//! The catalogue in one redb file: which patient, block, item and batch lies where.
//!
//! Keys are random numbers, counters (big-endian, so that they sort) and keyed hashes; values are sealed by the caller,
//! except those that are themselves random numbers or counters.
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use crate::error::EdgeError;

/// The tables (`edge.md` 7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table {
    /// patient_no BE8 → dek_id 16 ‖ epoch LE4 ‖ wrapped DEK 40 ‖ sealed state
    Patients,
    /// keyed hash of an identifier (16) → patient_no BE8
    Alias,
    /// segment number BE8 → length LE8
    Segments,
    /// item_id (16) → sealed owners and places of original bytes that belong to several patients
    Items,
    /// number BE8 → sealed dictionary
    Shared,
    /// handle (16) → nothing: records that wait to be anchored
    Pending,
    /// batch number BE8 → sealed batch
    Batches,
    /// name → counters
    Meta,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 8] = [
        Self::Patients,
        Self::Alias,
        Self::Segments,
        Self::Items,
        Self::Shared,
        Self::Pending,
        Self::Batches,
        Self::Meta,
    ];

    /// The table's name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patients => "patients",
            Self::Alias => "alias",
            Self::Segments => "segments",
            Self::Items => "items",
            Self::Shared => "shared",
            Self::Pending => "pending",
            Self::Batches => "batches",
            Self::Meta => "meta",
        }
    }

    const fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

/// Writes that become durable together.
#[derive(Default, Debug)]
pub struct Batch(Vec<(Table, Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    /// Sets a value.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.push((table, key.into(), Some(value.into())));
    }

    /// Removes a key; one that is not there is no error.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.0.push((table, key.into(), None));
    }
}

/// What a table takes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TableSize {
    /// How many keys.
    pub entries: u64,
    /// Bytes of keys and values.
    pub stored: u64,
    /// Bytes of the tree around them, and of the room that its pages leave free.
    pub around: u64,
}

/// An open catalogue.
#[derive(Debug)]
pub struct Catalogue {
    path: PathBuf,
    database: Database,
}

impl Catalogue {
    /// Opens the file, or makes it with its tables.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the file is in use, damaged or of another format.
    pub fn open(path: &Path) -> Result<Self, EdgeError> {
        // 16 MiB: the catalogue of a million patients is read by key; pages beyond that come from the system's cache.
        let database = Database::builder()
            .set_cache_size(16 << 20)
            .create(path)
            .map_err(|error| failed(path, error))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
                .map_err(|source| EdgeError::io(path, source))?;
        }
        let catalogue = Self { path: path.to_owned(), database };
        let tables = || -> Result<(), redb::Error> {
            let write = catalogue.database.begin_write()?;
            for table in Table::ALL {
                write.open_table(table.definition())?;
            }
            Ok(write.commit()?)
        };
        tables().map_err(|error| catalogue.failed(error))?;
        Ok(catalogue)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the file cannot be read.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EdgeError> {
        let get = || -> Result<_, redb::Error> {
            let table = self.database.begin_read()?.open_table(table.definition())?;
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        };
        get().map_err(|error| self.failed(error))
    }

    /// Calls `each` with every key and value of a table, in the order of the keys, until it fails.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the file cannot be read, or what `each` returned.
    pub fn scan(
        &self,
        table: Table,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), EdgeError>,
    ) -> Result<(), EdgeError> {
        let open = || -> Result<_, redb::Error> {
            Ok(self.database.begin_read()?.open_table(table.definition())?)
        };
        let table = open().map_err(|error| self.failed(error))?;
        for entry in table.iter().map_err(|error| failed(&self.path, error))? {
            let (key, value) = entry.map_err(|error| failed(&self.path, error))?;
            each(key.value(), value.value())?;
        }
        Ok(())
    }

    /// Makes all writes of a batch durable, or none.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the file cannot be written.
    pub fn commit(&self, batch: Batch) -> Result<(), EdgeError> {
        let commit = || -> Result<(), redb::Error> {
            let write = self.database.begin_write()?;
            for table in Table::ALL {
                let mut writes = batch.0.iter().filter(|(of, _, _)| *of == table).peekable();
                if writes.peek().is_none() {
                    continue;
                }
                let mut table = write.open_table(table.definition())?;
                for (_, key, value) in writes {
                    match value {
                        Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                        None => table.remove(key.as_slice())?,
                    };
                }
            }
            Ok(write.commit()?)
        };
        commit().map_err(|error| self.failed(error))
    }

    /// Bytes of keys and values in a table, what the tree needs around them, and how many there are.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the file cannot be read.
    pub fn size(&self, table: Table) -> Result<TableSize, EdgeError> {
        let size = || -> Result<_, redb::Error> {
            let table = self.database.begin_read()?.open_table(table.definition())?;
            let stats = table.stats()?;
            Ok(TableSize {
                entries: table.len()?,
                stored: stats.stored_bytes(),
                around: stats.metadata_bytes() + stats.fragmented_bytes(),
            })
        };
        size().map_err(|error| self.failed(error))
    }

    /// Rewrites the file without its free pages, so that deleted values are gone from it.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the file cannot be written.
    pub fn compact(&mut self) -> Result<(), EdgeError> {
        while self.database.compact().map_err(|error| failed(&self.path, error))? {}
        Ok(())
    }

    fn failed(&self, error: redb::Error) -> EdgeError {
        failed(&self.path, error)
    }
}

fn failed(path: &Path, error: impl Into<redb::Error>) -> EdgeError {
    let error = error.into();
    let fix = match &error {
        redb::Error::DatabaseAlreadyOpen => "stop the other program that uses it",
        _ => "check the disk; if the file is damaged, restore the data folder from a backup",
    };
    EdgeError::storage(error.to_string(), path.display().to_string(), fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_all_there_after_reopening() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("catalogue.redb");
        let catalogue = Catalogue::open(&path).expect("made");
        let mut batch = Batch::default();
        batch.put(Table::Alias, [1; 16], 5_u64.to_be_bytes());
        batch.put(Table::Alias, [0; 16], 6_u64.to_be_bytes());
        batch.put(Table::Meta, *b"gone", *b"x");
        batch.delete(Table::Meta, *b"gone");
        catalogue.commit(batch).expect("committed");
        drop(catalogue);
        let catalogue = Catalogue::open(&path).expect("opens");
        assert_eq!(catalogue.get(Table::Meta, b"gone").expect("read"), None);
        let mut keys = Vec::new();
        catalogue
            .scan(Table::Alias, |key, value| {
                keys.push((key[0], value[7]));
                Ok(())
            })
            .expect("scanned");
        assert_eq!(keys, [(0, 6), (1, 5)]);
    }

    #[test]
    fn a_file_that_is_no_catalogue_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("catalogue.redb");
        std::fs::write(&path, [7; 4096]).expect("written");
        let error = Catalogue::open(&path).expect_err("no catalogue").to_string();
        assert!(error.contains("catalogue.redb"), "{error}");
    }
}
