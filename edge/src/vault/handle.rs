//! Handles: what records are called outside.
//!
//! `handle = AES-256(handle_key, patient_no BE8 ‖ local_no BE4 ‖ 0 BE4)`, one block. It is random to everyone without the
//! key, made of a random number and a counter and not of the person (45 CFR 164.514(c)), and inverted without a table.
use super::crypt::{self, Secret};
use crate::model::{Handle, PatientNo};

/// Makes and reads handles.
#[derive(Clone, Debug)]
pub struct Handles(Secret);

impl Handles {
    /// With the store's handle key.
    pub const fn new(key: Secret) -> Self {
        Self(key)
    }

    /// The handle of a patient's record; `local_no` 0 stands for the patient.
    pub fn seal(&self, patient: PatientNo, local_no: u32) -> Handle {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&patient.0.to_be_bytes());
        block[8..12].copy_from_slice(&local_no.to_be_bytes());
        Handle(crypt::aes_encrypt(&self.0, block))
    }

    /// Whose record it is, or `None` if this store never made the handle: a guess passes with chance 2^-32.
    pub fn open(&self, handle: Handle) -> Option<(PatientNo, u32)> {
        let block = u128::from_be_bytes(crypt::aes_decrypt(&self.0, handle.0));
        let patient = u64::try_from(block >> 64).expect("64 bits are left");
        let local_no = u32::try_from(block >> 32 & 0xffff_ffff).expect("32 bits are left");
        (block & 0xffff_ffff == 0).then_some((PatientNo(patient), local_no))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn handles_round_trip_and_forged_ones_do_not_open(
            patient in any::<u64>(), local in any::<u32>(), forged in any::<[u8; 16]>(),
        ) {
            let handles = Handles::new(Secret::new([7; 32]));
            let handle = handles.seal(PatientNo(patient), local);
            prop_assert_eq!(handles.open(handle), Some((PatientNo(patient), local)));
            prop_assert_eq!(handles.open(Handle(forged)), None);
            prop_assert_eq!(Handles::new(Secret::new([8; 32])).open(handle), None);
        }
    }
}
