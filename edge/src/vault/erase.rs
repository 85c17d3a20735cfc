//! Erasing a patient is forgetting their key: nothing of theirs opens any more, wherever a copy lies.
use super::{
    Inner, SHARED, Vault, damaged_catalogue, flush, keys, open_value, patient::Place, seal_value,
    value_of,
};
use crate::{
    error::EdgeError,
    model::{Handle, PatientNo},
    stores::redb::{Batch, Table},
};

/// What was erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erased {
    /// Handles of the patient's records; their leaves stay anchored and prove nothing to anyone.
    pub handles: Vec<Handle>,
}

impl Vault {
    /// Erases a patient: the wrapped key in the catalogue, in `keys.log` and in the log, the aliases, the item results.
    ///
    /// The sealed blocks stay in their segments and cannot be opened. Original files that held several patients cannot be
    /// opened any more either. The index is the caller's to clear.
    ///
    /// # Errors
    /// [`EdgeError::Input`] for an unknown patient or the shared records; else if the store does not work.
    pub fn erase_patient(&self, patient: PatientNo) -> Result<Erased, EdgeError> {
        self.inner().erase(patient)
    }
}

impl Inner {
    fn erase(&mut self, number: PatientNo) -> Result<Erased, EdgeError> {
        self.flush()?; // so that the log carries no copy of the key
        let patient = self.load(number)?.filter(|_| number != SHARED).ok_or_else(|| {
            EdgeError::input("no such patient", number.to_string(), "give a patient of this edge")
        })?;
        let locals = patient.state.blocks.iter().flat_map(|block| &block.locals);
        let mut handles: Vec<Handle> =
            locals.map(|local| self.handles.seal(number, *local)).collect();
        handles.sort_unstable();
        handles.dedup();

        let mut batch = Batch::default();
        batch.delete(Table::Patients, number.0.to_be_bytes());
        batch.delete(Table::Dek, patient.key.dek_id);
        for Handle(handle) in &handles {
            batch.delete(Table::Pending, *handle);
        }
        self.catalogue.scan(Table::Alias, |alias, value| {
            if value == number.0.to_be_bytes() {
                batch.delete(Table::Alias, alias);
            }
            Ok(())
        })?;
        self.forget_in_items(number, &mut batch)?;
        self.change_no += 1;
        batch.put(Table::Meta, *b"change_no", self.change_no.to_le_bytes());
        // The log first: should the machine stop here, erasing again finishes the work.
        keys::forget(&self.dir.join("keys.log"), number)?;
        self.catalogue.commit(batch)?;
        self.catalogue.compact()?;
        Ok(Erased { handles })
    }

    /// Takes the patient's records out of the item results; the items stay known, so that they are not accepted again.
    fn forget_in_items(&self, number: PatientNo, batch: &mut Batch) -> Result<(), EdgeError> {
        self.catalogue.scan(Table::Items, |id, sealed| {
            let value = open_value(&self.keys, Table::Items, sealed)?;
            let (mut result, places) = flush::read_item(value_of(&value, Table::Items, id)?)
                .map_err(|_| damaged_catalogue(Table::Items))?;
            let concerns = result.owners.contains(&number);
            if concerns {
                result.records.retain(|(patient, _)| *patient != number);
                result.owners = vec![number]; // a number that no longer leads to anyone
                let value = flush::write_item(&result, &[] as &[Place]);
                batch.put(Table::Items, id, seal_value(&self.keys, Table::Items, id, &value));
            }
            let _ = places;
            Ok(())
        })
    }
}
