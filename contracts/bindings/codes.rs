//! The numbers that mean something on chain (`contracts.md` section 2), as `contracts/libraries/Codes.sol` has them.

/// HL7 v3 PurposeOfUse and EHDS Article 53 purposes; values from `0x8000` on are forbidden (EHDS Article 54).
pub mod purpose {
    /// TREAT: treatment.
    pub const TREATMENT: u16 = 1;
    /// ETREAT: emergency treatment.
    pub const EMERGENCY_TREATMENT: u16 = 2;
    /// HRESCH: health-care research.
    pub const RESEARCH: u16 = 5;
    /// PUBHLTH: public health.
    pub const PUBLIC_HEALTH: u16 = 6;
    /// The first purpose that nobody may ask for.
    pub const FIRST_FORBIDDEN: u16 = 0x8000;
}

/// What an institution is.
pub mod institution_kind {
    /// Gives care and holds records.
    pub const PROVIDER: u8 = 1;
    /// Does research.
    pub const RESEARCH: u8 = 2;
    /// Supervises the others.
    pub const SUPERVISOR: u8 = 5;
}

/// What a registered key is for.
pub mod key_kind {
    /// A secp256k1 account, 20 bytes: legal acts.
    pub const ACCOUNT: u8 = 1;
    /// X25519, 32 bytes: who may read.
    pub const SEAL: u8 = 2;
    /// Ed25519, 32 bytes: this edge speaks (RFC 9421).
    pub const TRANSPORT_ED25519: u8 = 3;
}

/// How a grant lets data be used; a bit each.
pub mod mode {
    /// Records are delivered.
    pub const DELIVER: u8 = 1;
    /// Records are computed on where they are.
    pub const COMPUTE: u8 = 2;
    /// Questions are answered.
    pub const ANSWER: u8 = 4;
}

/// GA4GH Data Use Ontology terms as bits, ascending by DUO id.
pub mod duo {
    /// GRU, DUO:0000042: general research use (a permission).
    pub const GENERAL_RESEARCH_USE: u32 = 1 << 18;
    /// HMB, DUO:0000006: health, medical or biomedical research (a permission).
    pub const HEALTH_MEDICAL_BIOMEDICAL: u32 = 1 << 1;
    /// DS, DUO:0000007: disease specific (a permission).
    pub const DISEASE_SPECIFIC: u32 = 1 << 2;
    /// IRB, DUO:0000021: ethics approval required (a modifier).
    pub const ETHICS_APPROVAL: u32 = 1 << 10;
    /// The permissions; a dataset and a request each set exactly one.
    pub const PERMISSIONS: u32 = 0x000C_000F;
    /// The modifiers; a request repeats every one of the dataset.
    pub const MODIFIERS: u32 = 0x0073_FFF0;
}

/// What a recipient says of a delivery.
pub mod verdict {
    /// Everything proved.
    pub const OK: u8 = 0;
    /// The ciphertext is not the one offered.
    pub const CIPHERTEXT_ROOT: u8 = 1;
    /// The key does not match its commitment.
    pub const KEY: u8 = 2;
    /// A chunk does not decrypt.
    pub const DECRYPTION: u8 = 3;
    /// A record's leaf does not prove against the anchored root.
    pub const LEAF_PROOF: u8 = 4;
    /// A record's content is not what its leaf commits to.
    pub const CONTENT_HASH: u8 = 5;
}

/// Faults that a contract decides by rule.
pub mod fault {
    /// A granted duty passed without an offer.
    pub const NO_OFFER: u8 = 1;
    /// The key was not released in time.
    pub const KEY_OVERDUE: u8 = 2;
    /// Two offers carry the same number.
    pub const DOUBLE_OFFER: u8 = 3;
    /// A delivered leaf contradicts its owner's own root.
    pub const BAD_LEAF: u8 = 4;
}

/// What a complaint is about.
pub mod complaint_kind {
    /// Nothing was delivered.
    pub const NON_DELIVERY: u8 = 1;
    /// It came late.
    pub const LATE: u8 = 2;
    /// What came does not match what was anchored.
    pub const HASH_MISMATCH: u8 = 3;
}

/// Where a grant stands (`contracts.md` section 6).
pub mod grant_state {
    /// Asked for.
    pub const REQUESTED: u8 = 1;
    /// Live between its dates.
    pub const GRANTED: u8 = 3;
    /// Ended by its owner, for good.
    pub const REVOKED: u8 = 5;
}

/// Distinct patients below which nothing is counted or published.
pub const K: u64 = 11;
