// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {IKeyRegistry} from "../interfaces/IKeyRegistry.sol";
import {Codes} from "../libraries/Codes.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title KeyRegistry, as specified in `interfaces/IKeyRegistry.sol`.
// States, kinds and numbers are compared with one of their values; no balance is weighed.
// slither-disable-start incorrect-equality
contract KeyRegistry is Module, IKeyRegistry {
    // ── types ──

    /// @dev `Key` in one slot.
    struct PackedKey {
        bytes16 subject;
        uint8 kind;
        uint40 from;
        uint40 until;
        uint40 revokedAt;
    }

    // ── constants ──

    bytes32 private constant KEY_BINDING = keccak256(
        "KeyBinding(bytes16 subject,bytes32 keyId,uint8 kind,uint64 validFrom,uint64 validUntil)"
    );
    bytes32 private constant ADD_KEY = keccak256(
        "AddKey(bytes16 subject,uint8 kind,bytes publicKey,uint64 validFrom,uint64 validUntil,bytes proof,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant REVOKE_KEY =
        keccak256("RevokeKey(bytes32 keyId,uint64 revokedFrom,uint256 nonce,uint64 deadline)");
    bytes32 private constant RETIRE_KEY =
        keccak256("RetireKey(bytes32 keyId,uint64 validUntil,uint256 nonce,uint64 deadline)");
    bytes32 private constant ROTATE_KEY = keccak256(
        "RotateKey(bytes32 keyId,bytes publicKey,uint64 validFrom,uint64 validUntil,uint64 oldUntil,bytes proof,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant SET_GUARDIANS = keccak256(
        "SetGuardians(bytes16 subject,bytes16[] list,uint8 threshold,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant START_RECOVERY = keccak256(
        "StartRecovery(bytes16 subject,bytes16 guardian,address newAccount,bytes proof,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant APPROVE_RECOVERY = keccak256(
        "ApproveRecovery(bytes16 subject,bytes16 guardian,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant CANCEL_RECOVERY =
        keccak256("CancelRecovery(bytes16 subject,uint256 nonce,uint64 deadline)");

    uint256 private constant KEYS_MAX = 16;
    uint256 private constant GUARDIANS_MAX = 9;

    // ── storage ──

    mapping(bytes32 keyId => PackedKey) private _key;

    /// @dev Keys that are not over, at most 16; those that are over leave when one is added.
    // Written by `_store`, through a reference.
    // slither-disable-next-line uninitialized-state
    mapping(bytes16 subject => mapping(uint8 kind => bytes32[])) private _held;

    /// @dev Named last: in force from their `since` on.
    mapping(bytes16 subject => Guardians) private _guardians;

    /// @dev In force until those named last are.
    mapping(bytes16 subject => Guardians) private _guardiansBefore;

    mapping(bytes16 subject => Recovery) private _recovery;

    // ── constructor ──

    constructor(address authority, address directory) Module(authority, directory, "KeyRegistry") {}

    // ── external: keys ──

    /// @inheritdoc IKeyRegistry
    function addKey(
        bytes16 subject,
        uint8 kind,
        bytes calldata publicKey,
        uint64 validFrom,
        uint64 validUntil,
        bytes calldata proof
    ) external {
        _requireKeeper(msg.sender, subject);
        _addKey(
            PackedKey(subject, kind, _packed(validFrom), _packed(validUntil), 0), publicKey, proof
        );
    }

    /// @inheritdoc IKeyRegistry
    function addKeyBySig(
        bytes16 subject,
        uint8 kind,
        bytes calldata publicKey,
        uint64 validFrom,
        uint64 validUntil,
        bytes calldata proof,
        Auth calldata auth
    ) external {
        PackedKey memory k = PackedKey(subject, kind, _packed(validFrom), _packed(validUntil), 0);
        bytes memory parameters =
            abi.encode(k.subject, k.kind, keccak256(publicKey), k.from, k.until, keccak256(proof));
        _requireKeeper(_verifyAct(auth, ADD_KEY, parameters), k.subject);
        _addKey(k, publicKey, proof);
    }

    /// @inheritdoc IKeyRegistry
    function revokeKey(bytes32 keyId, uint64 revokedFrom) external {
        _revokeKey(msg.sender, keyId, revokedFrom);
    }

    /// @inheritdoc IKeyRegistry
    function revokeKeyBySig(bytes32 keyId, uint64 revokedFrom, Auth calldata auth) external {
        _revokeKey(_verifyAct(auth, REVOKE_KEY, _words(2)), keyId, revokedFrom);
    }

    /// @inheritdoc IKeyRegistry
    function retireKey(bytes32 keyId, uint64 validUntil) external {
        _retireKey(msg.sender, keyId, validUntil);
    }

    /// @inheritdoc IKeyRegistry
    function retireKeyBySig(bytes32 keyId, uint64 validUntil, Auth calldata auth) external {
        _retireKey(_verifyAct(auth, RETIRE_KEY, _words(2)), keyId, validUntil);
    }

    /// @inheritdoc IKeyRegistry
    function rotateKey(
        bytes32 keyId,
        bytes calldata publicKey,
        uint64 validFrom,
        uint64 validUntil,
        uint64 oldUntil,
        bytes calldata proof
    ) external {
        PackedKey memory next = _successor(keyId, validFrom, validUntil);
        _requireKeeper(msg.sender, next.subject);
        _addKey(next, publicKey, proof);
        _replace(keyId, next, oldUntil);
    }

    /// @inheritdoc IKeyRegistry
    function rotateKeyBySig(
        bytes32 keyId,
        bytes calldata publicKey,
        uint64 validFrom,
        uint64 validUntil,
        uint64 oldUntil,
        bytes calldata proof,
        Auth calldata auth
    ) external {
        PackedKey memory next = _successor(keyId, validFrom, validUntil);
        bytes memory parameters = abi.encode(
            keyId, keccak256(publicKey), next.from, next.until, oldUntil, keccak256(proof)
        );
        _requireKeeper(_verifyAct(auth, ROTATE_KEY, parameters), next.subject);
        _addKey(next, publicKey, proof);
        _replace(keyId, next, oldUntil);
    }

    /// @inheritdoc IKeyRegistry
    function bindFirst(bytes16 subject, address account) external restricted {
        if (subject == 0 || _held[subject][Codes.ACCOUNT].length != 0) revert Exists(subject);
        _bind(subject, account, "");
    }

    // ── external: recovery of lost accounts ──

    /// @inheritdoc IKeyRegistry
    function setGuardians(bytes16 subject, bytes16[] calldata list, uint8 threshold) external {
        _setGuardians(msg.sender, subject, list, threshold);
    }

    /// @inheritdoc IKeyRegistry
    function setGuardiansBySig(
        bytes16 subject,
        bytes16[] calldata list,
        uint8 threshold,
        Auth calldata auth
    ) external {
        bytes memory parameters = abi.encode(subject, keccak256(abi.encodePacked(list)), threshold);
        _setGuardians(_verifyAct(auth, SET_GUARDIANS, parameters), subject, list, threshold);
    }

    /// @inheritdoc IKeyRegistry
    function startRecovery(
        bytes16 subject,
        bytes16 guardian,
        address newAccount,
        bytes calldata proof
    ) external {
        _startRecovery(msg.sender, subject, guardian, newAccount, proof);
    }

    /// @inheritdoc IKeyRegistry
    function startRecoveryBySig(
        bytes16 subject,
        bytes16 guardian,
        address newAccount,
        bytes calldata proof,
        Auth calldata auth
    ) external {
        bytes memory parameters = bytes.concat(_words(3), keccak256(proof));
        address signer = _verifyAct(auth, START_RECOVERY, parameters);
        _startRecovery(signer, subject, guardian, newAccount, proof);
    }

    /// @inheritdoc IKeyRegistry
    function approveRecovery(bytes16 subject, bytes16 guardian) external {
        _approveRecovery(msg.sender, subject, guardian);
    }

    /// @inheritdoc IKeyRegistry
    function approveRecoveryBySig(bytes16 subject, bytes16 guardian, Auth calldata auth) external {
        _approveRecovery(_verifyAct(auth, APPROVE_RECOVERY, _words(2)), subject, guardian);
    }

    /// @inheritdoc IKeyRegistry
    function finishRecovery(bytes16 subject) external {
        Recovery memory r = _requireRecovery(subject);
        uint256 have = _count(r.approvals);
        uint256 want = _guardiansFor(subject).threshold;
        if (have < want) revert NotEnough(have, want);
        if (_now() < r.readyAt) revert TooEarly(r.readyAt);

        delete _recovery[subject];
        bytes32[] memory old = _held[subject][Codes.ACCOUNT];
        for (uint256 i = 0; i < old.length; ++i) {
            if (_key[old[i]].until > _now()) {
                _key[old[i]].until = _packed(_now());
                emit KeyRetired(old[i], _now());
            }
        }
        _bind(subject, r.newAccount, "");
        emit RecoveryFinished(subject, r.newAccount);
    }

    /// @inheritdoc IKeyRegistry
    function cancelRecovery(bytes16 subject) external {
        _cancelRecovery(msg.sender, subject);
    }

    /// @inheritdoc IKeyRegistry
    function cancelRecoveryBySig(bytes16 subject, Auth calldata auth) external {
        _cancelRecovery(_verifyAct(auth, CANCEL_RECOVERY, _words(1)), subject);
    }

    // ── views ──

    /// @inheritdoc IKeyRegistry
    function subjectOf(address account) public view returns (bytes16) {
        bytes32 keyId = _accountId(account);
        return validAt(keyId, _now()) ? _key[keyId].subject : bytes16(0);
    }

    /// @inheritdoc IKeyRegistry
    function validAt(bytes32 keyId, uint64 t) public view returns (bool) {
        PackedKey storage k = _key[keyId];
        return k.from <= t && t < k.until && (k.revokedAt == 0 || t < k.revokedAt);
    }

    /// @inheritdoc IKeyRegistry
    function key(bytes32 keyId) external view returns (Key memory) {
        PackedKey storage k = _key[keyId];
        return Key(k.subject, k.kind, k.from, k.until, k.revokedAt);
    }

    /// @inheritdoc IKeyRegistry
    function keysOf(bytes16 subject, uint8 kind) external view returns (bytes32[] memory) {
        return _held[subject][kind];
    }

    /// @inheritdoc IKeyRegistry
    function guardians(bytes16 subject) external view returns (Guardians memory) {
        return _guardians[subject];
    }

    /// @inheritdoc IKeyRegistry
    function guardiansInForce(bytes16 subject) external view returns (Guardians memory) {
        return _guardiansAt(subject, _now());
    }

    /// @inheritdoc IKeyRegistry
    function recovery(bytes16 subject) external view returns (Recovery memory) {
        return _recovery[subject];
    }

    // ── internal: keys ──

    function _addKey(PackedKey memory k, bytes calldata publicKey, bytes calldata proof) private {
        if (k.from < _now()) revert Backdated(k.from);
        _requireBetween(k.until, uint64(k.from) + 1, k.from + _days(Periods.KEY_DAYS));
        _requireLength(k.kind, publicKey.length);

        bytes32 keyId;
        if (k.kind == Codes.ACCOUNT) {
            address account = address(bytes20(publicKey));
            keyId = _accountId(account);
            _requireBinding(k, account, proof);
        } else {
            keyId = keccak256(abi.encodePacked(k.kind, publicKey));
        }
        _store(keyId, k, publicKey, proof);
    }

    /// @dev Binds an account from now on. It has no end of its own, so that nobody loses their only
    /// account to the calendar; `retireKey` and `revokeKey` end it.
    function _bind(bytes16 subject, address account, bytes memory proof) private {
        if (account == address(0)) revert Unknown(0);
        // It is not revoked: 0.
        // slither-disable-next-line uninitialized-local
        PackedKey memory k;
        k.subject = subject;
        k.kind = Codes.ACCOUNT;
        k.from = _packed(_now());
        k.until = type(uint40).max;
        _store(_accountId(account), k, abi.encodePacked(account), proof);
    }

    function _store(bytes32 keyId, PackedKey memory k, bytes memory publicKey, bytes memory proof)
        private
    {
        if (_key[keyId].kind != 0) revert Exists(keyId);
        bytes32[] storage held = _held[k.subject][k.kind];
        _prune(held);
        _requireBetween(held.length + 1, 0, KEYS_MAX);
        held.push(keyId);
        _key[keyId] = k;
        emit KeyAdded(keyId, k.subject, k.kind, k.from, k.until, publicKey, proof);
    }

    function _revokeKey(address signer, bytes32 keyId, uint64 revokedFrom) private {
        PackedKey storage k = _requireKey(keyId);
        _requireKeeper(signer, k.subject);
        if (k.revokedAt != 0) revert AlreadyRevoked(keyId, k.revokedAt);
        uint64 back = _days(Periods.REVOCATION_DAYS);
        bool tooOld = revokedFrom < k.from || revokedFrom + back < _now();
        if (tooOld) revert Backdated(revokedFrom);
        _requireBetween(revokedFrom, k.from, _now());
        _requireOtherAccount(k, keyId, _now());

        k.revokedAt = _packed(revokedFrom);
        emit KeyRevoked(keyId, revokedFrom);
    }

    function _retireKey(address signer, bytes32 keyId, uint64 validUntil) private {
        _requireKeeper(signer, _requireKey(keyId).subject);
        _retire(keyId, validUntil);
    }

    function _retire(bytes32 keyId, uint64 validUntil) private {
        PackedKey storage k = _key[keyId];
        if (validUntil < _now()) revert Backdated(validUntil);
        _requireBetween(validUntil, _now(), uint256(k.until) - 1);
        _requireOtherAccount(k, keyId, validUntil);

        k.until = _packed(validUntil);
        emit KeyRetired(keyId, validUntil);
    }

    /// @dev The successor of a key that was not revoked: same subject, same kind.
    function _successor(bytes32 keyId, uint64 validFrom, uint64 validUntil)
        private
        view
        returns (PackedKey memory)
    {
        PackedKey storage k = _requireKey(keyId);
        if (k.revokedAt != 0) revert AlreadyRevoked(keyId, k.revokedAt);
        return PackedKey(k.subject, k.kind, _packed(validFrom), _packed(validUntil), 0);
    }

    /// @dev Ends a key whose successor was just added, at most 30 d after that one begins.
    function _replace(bytes32 keyId, PackedKey memory next, uint64 oldUntil) private {
        uint64 max = next.from + _days(Periods.OVERLAP_DAYS);
        if (oldUntil > max) revert OutOfBounds(oldUntil, _now(), max);
        _retire(keyId, oldUntil);
    }

    /// @dev Drops keys that are over. Bounded: the list holds at most 16.
    function _prune(bytes32[] storage held) private {
        for (uint256 i = held.length; i > 0; --i) {
            PackedKey storage k = _key[held[i - 1]];
            if (_now() >= k.until || k.revokedAt != 0) {
                held[i - 1] = held[held.length - 1];
                held.pop();
            }
        }
    }

    // ── internal: recovery ──

    function _setGuardians(
        address signer,
        bytes16 subject,
        bytes16[] calldata list,
        uint8 threshold
    ) private {
        _requireKeeper(signer, subject);
        if (_recovery[subject].newAccount != address(0)) revert Exists(subject);
        _requireBetween(list.length, 1, GUARDIANS_MAX);
        _requireBetween(threshold, 1, list.length);
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == subject) revert NotGuardian(subject);
            if (_held[list[i]][Codes.ACCOUNT].length == 0) revert Unknown(list[i]);
            for (uint256 j = 0; j < i; ++j) {
                if (list[i] == list[j]) revert Exists(list[i]);
            }
        }
        uint64 since = _now() + _days(Periods.GUARDIANS_DAYS);
        if (_now() >= _guardians[subject].since) _guardiansBefore[subject] = _guardians[subject];
        _guardians[subject] = Guardians(list, threshold, since);
        emit GuardiansSet(subject, list, threshold, since);
    }

    function _startRecovery(
        address signer,
        bytes16 subject,
        bytes16 guardian,
        address newAccount,
        bytes calldata proof
    ) private {
        uint16 bit = _requireGuardian(signer, subject, guardian);
        if (_recovery[subject].newAccount != address(0)) revert Exists(subject);
        bytes32 keyId = _accountId(newAccount);
        if (_key[keyId].kind != 0) revert Exists(keyId);
        // It agrees to an account without dates of its own: both 0.
        // slither-disable-next-line uninitialized-local
        PackedKey memory k;
        k.subject = subject;
        k.kind = Codes.ACCOUNT;
        _requireBinding(k, newAccount, proof);

        uint64 readyAt = _now() + _days(Periods.RECOVERY_DAYS);
        _recovery[subject] = Recovery(newAccount, readyAt, bit);
        emit RecoveryStarted(subject, newAccount, readyAt);
        emit RecoveryApproved(subject, guardian, 1);
    }

    function _approveRecovery(address signer, bytes16 subject, bytes16 guardian) private {
        uint16 bit = _requireGuardian(signer, subject, guardian);
        uint16 approvals = _requireRecovery(subject).approvals;
        if (approvals & bit != 0) revert Exists(guardian);
        _recovery[subject].approvals = approvals | bit;
        emit RecoveryApproved(subject, guardian, _count(approvals | bit));
    }

    function _cancelRecovery(address signer, bytes16 subject) private {
        if (subjectOf(signer) != subject) revert NotParty(subject, signer);
        _requireRecovery(subject);
        delete _recovery[subject];
        emit RecoveryCancelled(subject);
    }

    /// @dev Checks that `signer` is an account of a guardian in force; returns the guardian's bit.
    function _requireGuardian(address signer, bytes16 subject, bytes16 guardian)
        private
        view
        returns (uint16)
    {
        if (guardian == 0 || subjectOf(signer) != guardian) revert NotParty(guardian, signer);
        Guardians memory g = _guardiansFor(subject);
        if (g.threshold == 0 && _guardians[subject].threshold != 0) {
            revert TooEarly(_guardians[subject].since);
        }
        for (uint256 i = 0; i < g.guardians.length; ++i) {
            // Cast: i is at most 8.
            if (g.guardians[i] == guardian) return uint16(1 << i);
        }
        revert NotGuardian(guardian);
    }

    /// @dev Guardians who decide about a recovery: those in force when it began, or would begin.
    function _guardiansFor(bytes16 subject) private view returns (Guardians memory) {
        Recovery storage r = _recovery[subject];
        bool open = r.newAccount != address(0);
        return _guardiansAt(subject, open ? r.readyAt - _days(Periods.RECOVERY_DAYS) : _now());
    }

    function _guardiansAt(bytes16 subject, uint64 t) private view returns (Guardians memory) {
        Guardians storage last = _guardians[subject];
        return t >= last.since ? last : _guardiansBefore[subject];
    }

    function _requireRecovery(bytes16 subject) private view returns (Recovery memory r) {
        r = _recovery[subject];
        if (r.newAccount == address(0)) revert Unknown(subject);
    }

    function _count(uint16 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) {
            ++count;
        }
    }

    // ── internal: checks ──

    /// @dev Checks that `signer` keeps the keys of `subject`: it is the subject, or ADMIN of its
    /// institution.
    function _requireKeeper(address signer, bytes16 subject) private view {
        bytes16 by = subjectOf(signer);
        if (by != 0 && by == subject) return;
        IInstitutionRegistry institutions = _institutions();
        bytes16 inst = institutions.institutionOf(subject);
        if (inst == 0 || !institutions.mayAct(by, inst, Roles.ADMIN)) {
            revert NotParty(subject, signer);
        }
    }

    /// @dev Checks that the new account itself agreed to speak for the subject.
    function _requireBinding(PackedKey memory k, address account, bytes calldata proof)
        private
        view
    {
        bytes32 structHash = keccak256(
            abi.encode(KEY_BINDING, k.subject, _accountId(account), k.kind, k.from, k.until)
        );
        _verifyDocument(_hashTypedDataV4(structHash), account, proof);
    }

    /// @dev Checks that an institution or hub keeps an account at `t` without this key. A
    /// credential may lose its last one: its institution can add another.
    function _requireOtherAccount(PackedKey storage k, bytes32 keyId, uint64 t) private view {
        if (k.kind != Codes.ACCOUNT) return;
        bytes16 inst = _institutions().institutionOf(k.subject);
        if (inst != 0 && inst != k.subject) return;
        bytes32[] storage held = _held[k.subject][Codes.ACCOUNT];
        for (uint256 i = 0; i < held.length; ++i) {
            if (held[i] != keyId && validAt(held[i], t)) return;
        }
        revert LastAccount(k.subject);
    }

    function _requireKey(bytes32 keyId) private view returns (PackedKey storage k) {
        k = _key[keyId];
        if (k.kind == 0) revert Unknown(keyId);
    }

    /// @dev Checks a kind and the length of its keys.
    function _requireLength(uint8 kind, uint256 length) private pure {
        _requireBetween(kind, Codes.ACCOUNT, Codes.SCP);
        uint256 want = 32;
        if (kind == Codes.ACCOUNT) want = 20;
        if (kind == Codes.TRANSPORT_P256) want = 33;
        _requireBetween(length, want, want);
    }

    function _accountId(address account) private pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }
}
// slither-disable-end incorrect-equality
