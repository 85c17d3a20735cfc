// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title KeyRegistry: which key spoke for whom, when.
/// @notice A key never starts in the past, and a revocation never undoes what a contract accepted.
/// A key's bytes live in the event that added it. `keyId` is the address for an account,
/// left-padded to 32 bytes, and `keccak256(uint8 kind ‖ publicKey)` for all other kinds.
interface IKeyRegistry is IModule {
    /// @notice A key's times, in seconds since 1970.
    /// @param subject Institution, credential or hub that it speaks for.
    /// @param kind 1 ACCOUNT, 2 SEAL, 3 TRANSPORT_ED25519, 4 TRANSPORT_P256, 5 SCP.
    /// @param from First second at which it is valid.
    /// @param until First second at which it no longer is.
    /// @param revokedAt Second from which on it is void, or 0.
    struct Key {
        bytes16 subject;
        uint8 kind;
        uint64 from;
        uint64 until;
        uint64 revokedAt;
    }

    /// @notice Document: a new account agrees to speak for a subject.
    struct KeyBinding {
        bytes16 subject;
        bytes32 keyId;
        uint8 kind;
        uint64 validFrom;
        uint64 validUntil;
    }

    /// @notice Who may together replace a subject's lost accounts.
    /// @param guardians At most nine subjects.
    /// @param threshold How many of them are needed.
    /// @param since From when on they are in force.
    struct Guardians {
        bytes16[] guardians;
        uint8 threshold;
        uint64 since;
    }

    /// @notice A recovery under way.
    /// @param newAccount Account to be bound; 0 if none is under way.
    /// @param readyAt From when on it may be finished.
    /// @param approvals Bit i: the guardian at place i approved.
    struct Recovery {
        address newAccount;
        uint64 readyAt;
        uint16 approvals;
    }

    /// @notice A key speaks for `subject` from `validFrom` until `validUntil`.
    event KeyAdded(
        bytes32 indexed keyId,
        bytes16 indexed subject,
        uint8 indexed kind,
        uint64 validFrom,
        uint64 validUntil,
        bytes publicKey,
        bytes proof
    );

    /// @notice A key is void from `revokedFrom` on.
    event KeyRevoked(bytes32 indexed keyId, uint64 revokedFrom);

    /// @notice A key ends at `validUntil`.
    event KeyRetired(bytes32 indexed keyId, uint64 validUntil);

    /// @notice These guardians of `subject` are in force from `since` on.
    event GuardiansSet(bytes16 indexed subject, bytes16[] guardians, uint8 threshold, uint64 since);

    /// @notice `newAccount` may replace the accounts of `subject` from `readyAt` on.
    event RecoveryStarted(bytes16 indexed subject, address indexed newAccount, uint64 readyAt);

    /// @notice `guardian` approved; `count` guardians have.
    event RecoveryApproved(bytes16 indexed subject, bytes16 indexed guardian, uint256 count);

    /// @notice `newAccount` alone speaks for `subject` now.
    event RecoveryFinished(bytes16 indexed subject, address indexed newAccount);

    /// @notice An account of `subject` ended the recovery.
    event RecoveryCancelled(bytes16 indexed subject);

    /// @notice `time` lies before the earliest time that is allowed.
    error Backdated(uint64 time);

    /// @notice The subject would be left without an account that speaks for it.
    error LastAccount(bytes16 subject);

    /// @notice The key was revoked before, from `revokedAt` on.
    error AlreadyRevoked(bytes32 keyId, uint64 revokedAt);

    /// @notice `guardian` is not a guardian in force.
    error NotGuardian(bytes16 guardian);

    /// @notice There are `have` approvals; `want` are needed.
    error NotEnough(uint256 have, uint256 want);

    // ── keys ──

    /// @notice Adds a key. The subject itself, or ADMIN of its institution.
    /// @param subject Whom it will speak for.
    /// @param kind 1 to 5, see `Key`.
    /// @param publicKey 20, 32, 32, 33 or 32 bytes by kind.
    /// @param validFrom Now or later.
    /// @param validUntil At most 1 095 d after `validFrom`.
    /// @param proof ACCOUNT: the new account's signature of `KeyBinding`, checked here. Other
    /// kinds: a proof of possession that edges check; they ignore a key whose proof fails.
    function addKey(
        bytes16 subject,
        uint8 kind,
        bytes calldata publicKey,
        uint64 validFrom,
        uint64 validUntil,
        bytes calldata proof
    ) external;
    function addKeyBySig(
        bytes16 subject,
        uint8 kind,
        bytes calldata publicKey,
        uint64 validFrom,
        uint64 validUntil,
        bytes calldata proof,
        Auth calldata auth
    ) external;

    /// @notice Voids a key from a moment on, at most 7 d back. The subject itself, or ADMIN of its
    /// institution. Not the last account of an institution or hub.
    function revokeKey(bytes32 keyId, uint64 revokedFrom) external;
    function revokeKeyBySig(bytes32 keyId, uint64 revokedFrom, Auth calldata auth) external;

    /// @notice Brings a key's end forward. The subject itself, or ADMIN of its institution. Not the
    /// last account of an institution or hub.
    function retireKey(bytes32 keyId, uint64 validUntil) external;
    function retireKeyBySig(bytes32 keyId, uint64 validUntil, Auth calldata auth) external;

    /// @notice Replaces a key by a successor of the same subject and kind in one act. The subject
    /// itself, or ADMIN of its institution. Both may be valid for at most 30 d.
    /// @param keyId Key to be replaced, not over yet.
    /// @param publicKey Successor; `validFrom`, `validUntil` and `proof` as in `addKey`.
    /// @param oldUntil New end of the old key: now or later, at most 30 d after `validFrom`.
    function rotateKey(
        bytes32 keyId,
        bytes calldata publicKey,
        uint64 validFrom,
        uint64 validUntil,
        uint64 oldUntil,
        bytes calldata proof
    ) external;
    function rotateKeyBySig(
        bytes32 keyId,
        bytes calldata publicKey,
        uint64 validFrom,
        uint64 validUntil,
        uint64 oldUntil,
        bytes calldata proof,
        Auth calldata auth
    ) external;

    /// @notice Binds the first account of a new subject, until it is retired or revoked. Restricted
    /// to REGISTRARS.
    function bindFirst(bytes16 subject, address account) external;

    // ── recovery of lost accounts ──

    /// @notice Names guardians, in force after 7 d; until then those in force before remain so. The
    /// subject itself, or ADMIN of its institution. Not during a recovery.
    /// @param list Guardians: at most nine distinct subjects with an account.
    /// @param threshold 1 to their number.
    function setGuardians(bytes16 subject, bytes16[] calldata list, uint8 threshold) external;
    function setGuardiansBySig(
        bytes16 subject,
        bytes16[] calldata list,
        uint8 threshold,
        Auth calldata auth
    ) external;

    /// @notice Begins a recovery, which counts as the guardian's approval. An account of
    /// `guardian`.
    /// @param proof The new account's signature of `KeyBinding` with both times 0.
    function startRecovery(
        bytes16 subject,
        bytes16 guardian,
        address newAccount,
        bytes calldata proof
    ) external;
    function startRecoveryBySig(
        bytes16 subject,
        bytes16 guardian,
        address newAccount,
        bytes calldata proof,
        Auth calldata auth
    ) external;

    /// @notice Approves the recovery under way, once. An account of `guardian`.
    function approveRecovery(bytes16 subject, bytes16 guardian) external;
    function approveRecoveryBySig(bytes16 subject, bytes16 guardian, Auth calldata auth) external;

    /// @notice Ends the old accounts and binds the new one. Anyone, 7 d after the start and with
    /// enough approvals.
    function finishRecovery(bytes16 subject) external;

    /// @notice Ends a recovery that nobody needs. Any live account of the subject.
    function cancelRecovery(bytes16 subject) external;
    function cancelRecoveryBySig(bytes16 subject, Auth calldata auth) external;

    // ── views ──

    /// @notice Subject that an account speaks for now, or 0.
    function subjectOf(address account) external view returns (bytes16);

    /// @notice Whether a key was valid at `t`: `from ≤ t < until`, and not revoked by then.
    function validAt(bytes32 keyId, uint64 t) external view returns (bool);

    /// @notice A key's times; kind 0 if unknown.
    function key(bytes32 keyId) external view returns (Key memory);

    /// @notice Keys of a kind that a subject was given and that have not been tidied away since
    /// they were over; at most 16.
    function keysOf(bytes16 subject, uint8 kind) external view returns (bytes32[] memory);

    /// @notice Guardians named last, in force or not yet.
    function guardians(bytes16 subject) external view returns (Guardians memory);

    /// @notice Guardians in force now; none with threshold 0.
    function guardiansInForce(bytes16 subject) external view returns (Guardians memory);

    /// @notice The recovery under way.
    function recovery(bytes16 subject) external view returns (Recovery memory);
}
