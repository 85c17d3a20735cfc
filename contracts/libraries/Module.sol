// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {NoncesKeyed} from "@openzeppelin/contracts/utils/NoncesKeyed.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {ICredibility} from "../interfaces/ICredibility.sol";
import {IDatasetCatalog} from "../interfaces/IDatasetCatalog.sol";
import {IDirectory} from "../interfaces/IDirectory.sol";
import {IIncentives} from "../interfaces/IIncentives.sol";
import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {IKeyRegistry} from "../interfaces/IKeyRegistry.sol";
import {IModule} from "../interfaces/IModule.sol";
import {ISanctions} from "../interfaces/ISanctions.sol";
import {Codes} from "./Codes.sol";
import {Roles} from "./Roles.sol";

/// @title The one base of all modules: who speaks, in whose name, until when.
/// @dev A module is immutable, holds no ether and finds the others through `DIRECTORY`. The checks
/// of a party function go in this order: who signed (`_verifyAct`, `_verifyDocument`, or
/// `msg.sender`), for whom (`_requireActor`), and, for opening acts, `_requireOpen`.
abstract contract Module is IModule, AccessManaged, EIP712, NoncesKeyed, Multicall {
    /// @dev Most calls in one `multicall`, so that no transaction outgrows a block.
    uint256 private constant MULTICALL_MAX = 64;

    /// @inheritdoc IModule
    IDirectory public immutable DIRECTORY;

    /// @dev This module's name in `DIRECTORY`; also the key under which it can be stopped.
    bytes32 private immutable NAME;

    /// @dev `DIRECTORY.DAY()`, which never changes.
    uint64 private immutable DAY;

    /// @dev The AccessManager, for good: see `setAuthority`.
    address private immutable AUTHORITY;

    /// @param manager OpenZeppelin AccessManager that decides about `restricted` functions.
    /// @param directory Where the other modules are found.
    /// @param name The contract's name, ASCII, at most 25 bytes.
    constructor(address manager, address directory, string memory name)
        AccessManaged(manager)
        EIP712(string.concat("msnet ", name), "1")
    {
        DIRECTORY = IDirectory(directory);
        NAME = bytes32(bytes(name));
        DAY = IDirectory(directory).DAY();
        AUTHORITY = manager;
    }

    /// @notice The AccessManager that decides about `restricted` functions.
    function authority() public view override returns (address) {
        return AUTHORITY;
    }

    /// @notice Refuses everybody: a module is succeeded in the Directory, never rewired.
    function setAuthority(address) public view override {
        revert AccessManagedUnauthorized(msg.sender);
    }

    /// @notice Carries out up to 64 calls of this contract in one transaction, all or none.
    function multicall(bytes[] calldata data) public override returns (bytes[] memory results) {
        _requireBetween(data.length, 0, MULTICALL_MAX);
        return super.multicall(data);
    }

    // ── who signed ──

    /// @dev Checks a relayed act and uses its nonce.
    /// @param typeHash `keccak256("Name(<parameters>,uint256 nonce,uint64 deadline)")`.
    /// @param parameters The parameters as EIP-712 encodes them, one word each: `_words(n)` when
    /// all are static, `abi.encode(…)` with dynamic ones hashed otherwise.
    /// @return signer Whose act it is.
    function _verifyAct(Auth calldata auth, bytes32 typeHash, bytes memory parameters)
        internal
        returns (address signer)
    {
        if (_now() > auth.deadline) revert IntentExpired(auth.deadline);
        bytes32 structHash =
            keccak256(bytes.concat(typeHash, parameters, abi.encode(auth.nonce, auth.deadline)));
        signer = auth.signer;
        _verifyDocument(_hashTypedDataV4(structHash), signer, auth.signature);
        _useCheckedNonce(signer, auth.nonce);
    }

    /// @dev Checks that `signer` signed the document with this digest.
    function _verifyDocument(bytes32 digest, address signer, bytes calldata signature)
        internal
        view
    {
        if (!SignatureChecker.isValidSignatureNow(signer, digest, signature)) {
            revert BadSignature(signer);
        }
    }

    /// @dev The first `count` argument words of the call under way. Static arguments stand in
    /// calldata exactly as EIP-712 wants them, one word each, and the ABI decoder has refused dirty
    /// bits by then. Under `multicall` this is the inner call.
    function _words(uint256 count) internal pure returns (bytes memory) {
        return msg.data[4:4 + 32 * count];
    }

    // ── for whom, and whether it may begin something ──

    /// @dev Checks that `signer` speaks for `inst`: as the institution itself, or through a live
    /// credential with one of the `roles`.
    /// @return subject The institution or the credential that the signer's account belongs to.
    function _requireActor(address signer, bytes16 inst, uint16 roles)
        internal
        view
        returns (bytes16 subject)
    {
        subject = _keys().subjectOf(signer);
        if (!_institutions().mayAct(subject, inst, roles)) revert NotParty(inst, signer);
    }

    /// @dev Checks that `signer` speaks for a party to a case: as an OFFICER of an institution, or
    /// as the hub that complains or is complained about.
    function _requirePartySpeaker(address signer, bytes16 party) internal view {
        if (party == 0 || _keys().subjectOf(signer) != party) {
            _requireActor(signer, party, Roles.OFFICER);
        }
    }

    /// @dev Condition of opening acts (▲): this module is not stopped, and `inst` is effective.
    function _requireOpen(bytes16 inst) internal view {
        _requireRunning();
        _requireActive(inst);
    }

    /// @dev Checks that `inst` is on probation or active.
    function _requireActive(bytes16 inst) internal view {
        IInstitutionRegistry institutions = _institutions();
        if (!institutions.isActive(inst)) {
            revert NotActive(inst, uint8(institutions.statusAt(inst, _now())));
        }
    }

    /// @dev Checks that the guardian has not stopped this module.
    function _requireRunning() internal view {
        uint64 until = DIRECTORY.stoppedUntil(NAME);
        if (_now() < until) revert Stopped(NAME, until);
    }

    /// @dev Checks that no sanction keeps `inst` from asking for anything.
    function _requireMayRequest(bytes16 inst) internal view {
        ISanctions sanctions = _sanctions();
        if (!sanctions.mayRequest(inst)) revert Sanctioned(inst, sanctions.levelOf(inst));
    }

    // ── checks that many acts have ──

    /// @dev Checks that a number, length or time lies within bounds, both allowed.
    function _requireBetween(uint256 value, uint256 min, uint256 max) internal pure {
        if (value < min || value > max) revert OutOfBounds(value, min, max);
    }

    /// @dev Checks that a reason is one of section 2 of the design (`Codes.REASON_MAX`).
    function _requireReason(uint8 reasonCode) internal pure {
        _requireBetween(reasonCode, 1, Codes.REASON_MAX);
    }

    /// @dev Checks that a hash given is the one expected.
    function _requireHash(bytes32 have, bytes32 want) internal pure {
        if (have != want) revert HashMismatch(have, want);
    }

    /// @dev Checks that the last second for an act is not over.
    function _requireInTime(uint64 deadline) internal view {
        if (_now() > deadline) revert TooLate(deadline);
    }

    /// @dev Checks that the last second for an act is over.
    function _requirePast(uint64 deadline) internal view {
        if (_now() <= deadline) revert TooEarly(deadline + 1);
    }

    // ── other modules ──

    /// @dev The present holder of a name, `Codes.<MODULE>`.
    function _module(bytes32 name) internal view returns (address target) {
        target = DIRECTORY.addressOf(name);
        if (target == address(0)) revert Unknown(name);
    }

    function _institutions() internal view virtual returns (IInstitutionRegistry) {
        return IInstitutionRegistry(_module(Codes.INSTITUTION_REGISTRY));
    }

    function _keys() internal view virtual returns (IKeyRegistry) {
        return IKeyRegistry(_module(Codes.KEY_REGISTRY));
    }

    function _catalog() internal view returns (IDatasetCatalog) {
        return IDatasetCatalog(_module(Codes.DATASET_CATALOG));
    }

    function _sanctions() internal view returns (ISanctions) {
        return ISanctions(_module(Codes.SANCTIONS));
    }

    function _credibility() internal view returns (ICredibility) {
        return ICredibility(_module(Codes.CREDIBILITY));
    }

    function _incentives() internal view returns (IIncentives) {
        return IIncentives(_module(Codes.INCENTIVES));
    }

    // ── time ──

    /// @dev Seconds since 1970. The cast is safe for the next 584 billion years.
    function _now() internal view returns (uint64) {
        return uint64(block.timestamp);
    }

    /// @dev Length of `count` days of this network, in seconds.
    function _days(uint64 count) internal view returns (uint64) {
        return count * DAY;
    }

    /// @dev Length of `count` hours of this network, in seconds.
    function _hours(uint64 count) internal view returns (uint64) {
        return count * DAY / 24;
    }

    /// @dev A time for a packed slot. 40 bits last until the year 36 812.
    function _packed(uint64 time) internal pure returns (uint40) {
        _requireBetween(time, 0, type(uint40).max);
        return uint40(time);
    }
}
