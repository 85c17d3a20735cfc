// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The numbers that stand for words. 0 is always "none".
library Codes {
    // ── names of the modules in Directory: ASCII, left-aligned ──

    bytes32 internal constant INSTITUTION_REGISTRY = "InstitutionRegistry";
    bytes32 internal constant KEY_REGISTRY = "KeyRegistry";
    bytes32 internal constant DATA_HUB_REGISTRY = "DataHubRegistry";
    bytes32 internal constant RECORD_REGISTRY = "RecordRegistry";
    bytes32 internal constant DATASET_CATALOG = "DatasetCatalog";
    bytes32 internal constant CONSENT_REGISTRY = "ConsentRegistry";
    bytes32 internal constant ACCESS_REGISTRY = "AccessRegistry";
    bytes32 internal constant CARE_REGISTRY = "CareRegistry";
    bytes32 internal constant DELIVERY_LEDGER = "DeliveryLedger";
    bytes32 internal constant SUPERVISION = "Supervision";
    bytes32 internal constant ARBITRATION = "Arbitration";
    bytes32 internal constant JUDGE_POOL = "JudgePool";
    bytes32 internal constant SANCTIONS = "Sanctions";
    bytes32 internal constant CREDIBILITY = "Credibility";
    bytes32 internal constant INCENTIVES = "Incentives";
    bytes32 internal constant COUNCIL = "Council";
    /// @dev OpenZeppelin's, which carries out what the Council decided.
    bytes32 internal constant TIMELOCK_CONTROLLER = "TimelockController";
    bytes32 internal constant LENS = "Lens";
    bytes32 internal constant ALGORITHM_REGISTRY = "AlgorithmRegistry";
    bytes32 internal constant COMPUTE_JOBS = "ComputeJobs";
    bytes32 internal constant PRIVACY_LEDGER = "PrivacyLedger";

    // ── institution kinds and accreditation tiers ──

    uint8 internal constant PROVIDER = 1;
    uint8 internal constant RESEARCH = 2;
    uint8 internal constant SERVICE = 3;
    uint8 internal constant CUSTOMER = 4;
    uint8 internal constant SUPERVISOR = 5;

    uint8 internal constant UNACCREDITED = 1;
    uint8 internal constant ACCREDITED = 2;
    uint8 internal constant SPONSORED = 3;

    // ── key kinds ──

    /// @dev An address, 20 bytes.
    uint8 internal constant ACCOUNT = 1;
    /// @dev X25519, 32 bytes.
    uint8 internal constant SEAL = 2;
    /// @dev Ed25519, 32 bytes.
    uint8 internal constant TRANSPORT_ED25519 = 3;
    /// @dev P-256, 33 bytes, SEC 1 compressed.
    uint8 internal constant TRANSPORT_P256 = 4;
    /// @dev Ed25519, 32 bytes; signs results of compute jobs.
    uint8 internal constant SCP = 5;

    // ── modes of use, one bit each ──

    uint8 internal constant DELIVER = 1;
    uint8 internal constant COMPUTE = 2;
    uint8 internal constant ANSWER = 4;
    uint8 internal constant ALL_MODES = 7;

    // ── purposes: HL7 v3 PurposeOfUse 1–12, EHDS Art. 53 16–20; from 0x8000 on forbidden
    // (Art. 54) ──

    uint16 internal constant FIRST_FORBIDDEN_PURPOSE = 0x8000;
    /// @dev Bit n is purpose n: 1–12 and 16–20.
    uint32 internal constant PURPOSES = 0x001F1FFE;
    /// @dev Those of the care lane: treatment 1, emergency 2, the patient's request 7, the family's
    /// 12.
    uint32 internal constant CARE_PURPOSES = 0x00001086;

    // ── Data Use Ontology, one bit each in ascending order of DUO id ──

    uint32 internal constant DUO_NRES = 1 << 0;
    uint32 internal constant DUO_HMB = 1 << 1;
    uint32 internal constant DUO_DS = 1 << 2;
    uint32 internal constant DUO_POA = 1 << 3;
    uint32 internal constant DUO_IRB = 1 << 10;
    uint32 internal constant DUO_GRU = 1 << 18;
    uint32 internal constant DUO_CC = 1 << 19;
    uint32 internal constant DUO_PERMISSIONS = 0x000C000F;
    uint32 internal constant DUO_MODIFIERS = 0x0073FFF0;

    // ── dataset categories: 0–21 ICD-10 chapters, 32–63 LOINC class groups, 64–79 FHIR
    // resources ──

    uint256 internal constant CATEGORIES = 0xFFFFFFFFFFFF003FFFFF;

    // ── faults that a contract can name by rule, and whose they are ──

    uint8 internal constant NO_OFFER = 1;
    uint8 internal constant KEY_OVERDUE = 2;
    uint8 internal constant DOUBLE_OFFER = 3;
    uint8 internal constant BAD_LEAF = 4;
    uint8 internal constant RECEIPT_LAPSED = 5;
    uint8 internal constant ACK_OVERDUE = 6;
    uint8 internal constant EPOCH_MISSED = 7;
    uint8 internal constant LOG_MISSED = 8;
    uint8 internal constant REQUEST_LAPSED = 9;
    uint8 internal constant BREAK_GLASS_OVERDUE = 10;
    uint8 internal constant BREAK_GLASS_UNREPORTED = 11;
    uint8 internal constant JOB_TIMEOUT = 12;
    uint8 internal constant REVIEW_SILENT = 13;

    /// @dev Owner of the data, or sender of a delivery.
    uint8 internal constant SIDE_OWNER = 1;
    /// @dev Requester of access, or recipient of a delivery.
    uint8 internal constant SIDE_REQUESTER = 2;

    // ── verdicts on a delivery: 0 is "in order" ──

    uint8 internal constant VERDICT_OK = 0;
    uint8 internal constant VERDICT_MAX = 9;

    /// @dev Reasons for a refusal or revocation run from 1 purpose to 8 other.
    uint8 internal constant REASON_MAX = 8;

    // ── complaints, rulings, severities ──

    uint8 internal constant COMPLAINT_MAX = 9;
    uint8 internal constant FALSE_COMPLAINT = 9;

    uint8 internal constant UPHELD = 1;
    uint8 internal constant DISMISSED = 2;
    uint8 internal constant ABUSIVE = 3;
    uint8 internal constant NOT_PROVEN = 4;

    uint8 internal constant MINOR = 1;
    uint8 internal constant MAJOR = 2;
    uint8 internal constant CRITICAL = 3;

    /// @dev Fewest distinct patients behind anything that is published.
    uint16 internal constant K = 11;
}
