//! Erasing a patient is forgetting their key: nothing of theirs opens any more, wherever a copy lies.
use super::{
    Inner, SHARED, Vault, change::Joint, damaged_catalogue, flush, keys, open_value,
    patient::Place, value_of,
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
    /// Erases a patient: the wrapped key in the catalogue, in `keys.log` and in the log, the aliases.
    ///
    /// The sealed blocks stay in their segments and cannot be opened. Original files that held several patients cannot be
    /// opened any more either. The index is the caller's to clear.
    ///
    /// # Errors
    /// [`EdgeError::Input`] for an unknown patient or the shared records; else if the store does not work.
    pub fn erase_patient(&self, patient: PatientNo) -> Result<Erased, EdgeError> {
        self.inner()?.erase(patient)
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
        for Handle(handle) in &handles {
            batch.delete(Table::Pending, *handle);
        }
        self.catalogue.scan(Table::Alias, |alias, value| {
            if value == number.0.to_be_bytes() {
                batch.delete(Table::Alias, alias);
            }
            Ok(())
        })?;
        self.each_joint(|joint, _| {
            if joint.owners.contains(&number) {
                batch.delete(Table::Items, joint.item_id);
            }
            Ok(())
        })?;
        self.change_no += 1;
        batch.put(Table::Meta, *b"change_no", self.change_no.to_le_bytes());
        // The log first: should the machine stop here, erasing again finishes the work.
        keys::forget(&self.dir.join("keys.log"), number)?;
        self.catalogue.commit(batch)?;
        self.catalogue.compact()?;
        Ok(Erased { handles })
    }

    /// Calls `each` with every item of several patients that stands in segments, and where its bytes lie.
    pub(super) fn each_joint(
        &self,
        mut each: impl FnMut(Joint, Vec<Place>) -> Result<(), EdgeError>,
    ) -> Result<(), EdgeError> {
        self.catalogue.scan(Table::Items, |id, sealed| {
            let damaged = || damaged_catalogue(Table::Items);
            let item_id = id.try_into().map_err(|_| damaged())?;
            let value = open_value(&self.keys, Table::Items, sealed)?;
            let value = value_of(&value, Table::Items, id)?;
            let (joint, places) = flush::read_joint(item_id, value).map_err(|_| damaged())?;
            each(joint, places)
        })
    }
}
