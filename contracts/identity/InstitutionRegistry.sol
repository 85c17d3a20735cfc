// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {Codes} from "../libraries/Codes.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title InstitutionRegistry, as specified in `interfaces/IInstitutionRegistry.sol`.
// States, kinds and numbers are compared with one of their values; no balance is weighed.
// slither-disable-start incorrect-equality
contract InstitutionRegistry is Module, IInstitutionRegistry {
    using Checkpoints for Checkpoints.Trace208;

    // ── types ──

    /// @dev `IInstitutionRegistry.Institution`, packed into three slots. The first one also has the
    /// present status, so that those who ask about now read no more than it.
    struct Stored {
        uint8 kind;
        uint8 tier;
        uint8 sponsors;
        uint32 group;
        uint40 appliedAt;
        uint40 probationEnds;
        uint40 barUntil;
        /// @dev `status (8 bits) ‖ resumeTo (8) ‖ until (40)`; the last two are set while
        /// suspended.
        uint56 status;
        bytes32 legalHash;
        bytes32 endpointHash;
    }

    // ── constants ──

    bytes32 private constant APPLICATION = keccak256(
        "Application(bytes16 id,uint8 kind,uint32 group,bytes32 legalHash,string name,string endpoint,address account,bytes32 salt)"
    );
    bytes32 private constant SPONSOR =
        keccak256("Sponsor(bytes16 id,bytes16 by,uint256 nonce,uint64 deadline)");
    bytes32 private constant DESCRIBE =
        keccak256("Describe(bytes16 id,string name,string endpoint,uint256 nonce,uint64 deadline)");
    bytes32 private constant LEAVE_NETWORK =
        keccak256("LeaveNetwork(bytes16 id,uint256 nonce,uint64 deadline)");
    bytes32 private constant ADD_PRACTITIONER = keccak256(
        "AddPractitioner(bytes16 inst,bytes16 cred,uint16 roles,uint64 until,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant SET_PRACTITIONER = keccak256(
        "SetPractitioner(bytes16 cred,uint16 roles,uint64 until,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant END_PRACTITIONER =
        keccak256("EndPractitioner(bytes16 cred,uint256 nonce,uint64 deadline)");

    uint256 private constant NAME_MAX_BYTES = 128;
    uint256 private constant ENDPOINT_MAX_BYTES = 256;
    uint256 private constant FOUNDERS_MIN = 3;
    uint256 private constant FOUNDERS_MAX = 32;
    uint8 private constant SPONSORS_NEEDED = 2;

    // ── storage ──

    mapping(bytes16 id => Stored) private _institution;

    /// @dev `Stored.status` over time, for those who ask about the past.
    mapping(bytes16 id => Checkpoints.Trace208) private _status;

    /// @dev Over time: how many were activated and had not left.
    Checkpoints.Trace208 private _electorate;

    /// @inheritdoc IInstitutionRegistry
    mapping(bytes32 legalHash => bytes16 id) public holderOf;

    mapping(bytes16 cred => Practitioner) private _practitioner;

    mapping(bytes32 digest => bool) private _used;

    /// @dev Who vouched for an application; the first `Institution.sponsors` of them count.
    mapping(bytes16 id => bytes16[2]) private _sponsors;

    // ── constructor ──

    constructor(address authority, address directory)
        Module(authority, directory, "InstitutionRegistry")
    {}

    // ── external: life of an institution ──

    /// @inheritdoc IInstitutionRegistry
    function submitApplication(Application calldata application) external {
        _submit(application, msg.sender);
    }

    /// @inheritdoc IInstitutionRegistry
    function submitApplicationBySig(
        Application calldata application,
        address signer,
        bytes calldata signature
    ) external {
        _verifyDocument(_digestOf(application), signer, signature);
        _submit(application, signer);
    }

    /// @inheritdoc IInstitutionRegistry
    function sponsor(bytes16 id, bytes16 by) external {
        _sponsor(msg.sender, id, by);
    }

    /// @inheritdoc IInstitutionRegistry
    function sponsorBySig(bytes16 id, bytes16 by, Auth calldata auth) external {
        _sponsor(_verifyAct(auth, SPONSOR, _words(2)), id, by);
    }

    /// @inheritdoc IInstitutionRegistry
    function admit(bytes16 id, uint8 tier) external restricted {
        _requireStatus(id, Status.Sponsored);
        _requireTier(tier);
        _admit(id, tier, _now() + _days(Periods.PROBATION_DAYS));
    }

    /// @inheritdoc IInstitutionRegistry
    function activate(bytes16 id) external {
        _requireStatus(id, Status.Probation);
        uint64 ends = _institution[id].probationEnds;
        if (_now() < ends) revert TooEarly(ends);
        _activate(id);
    }

    /// @inheritdoc IInstitutionRegistry
    function lapseApplication(bytes16 id) external {
        if (_statusNow(id) != Status.Sponsored) _requireStatus(id, Status.Applied);
        uint64 ends = uint64(_institution[id].appliedAt) + _days(Periods.APPLICATION_DAYS);
        if (_now() < ends) revert TooEarly(ends);
        _setStatus(id, Status.Lapsed);
        emit ApplicationLapsed(id);
    }

    /// @inheritdoc IInstitutionRegistry
    function describe(bytes16 id, string calldata name, string calldata endpoint) external {
        _describe(msg.sender, id, name, endpoint);
    }

    /// @inheritdoc IInstitutionRegistry
    function describeBySig(
        bytes16 id,
        string calldata name,
        string calldata endpoint,
        Auth calldata auth
    ) external {
        bytes memory parameters = abi.encode(id, keccak256(bytes(name)), keccak256(bytes(endpoint)));
        _describe(_verifyAct(auth, DESCRIBE, parameters), id, name, endpoint);
    }

    /// @inheritdoc IInstitutionRegistry
    function leaveNetwork(bytes16 id) external {
        _leave(msg.sender, id);
    }

    /// @inheritdoc IInstitutionRegistry
    function leaveNetworkBySig(bytes16 id, Auth calldata auth) external {
        _leave(_verifyAct(auth, LEAVE_NETWORK, _words(1)), id);
    }

    /// @inheritdoc IInstitutionRegistry
    function setSuspended(bytes16 id, uint64 until, bytes32 caseId) external restricted {
        Status status = _statusNow(id);
        if (until == 0) {
            _requireStatus(id, Status.Suspended);
            _setStatus(id, _resumeTo(id));
        } else {
            _requireBetween(until, _now() + 1, type(uint40).max);
            if (status == Status.Suspended) status = _resumeTo(id);
            else _requireActive(id);
            _pushStatus(id, Status.Suspended, status, until);
        }
        emit InstitutionSuspended(id, until, caseId);
    }

    /// @inheritdoc IInstitutionRegistry
    function expel(bytes16 id, uint64 barUntil) external restricted {
        _requireStatus(id, Status.Suspended);
        uint64 min = _now() + _days(Periods.BAR_MIN_DAYS);
        uint64 max = _now() + _days(Periods.BAR_MAX_DAYS);
        _requireBetween(barUntil, min, max);
        if (_resumeTo(id) == Status.Active) _setElectorate(_electorate.latest() - 1);
        _institution[id].barUntil = _packed(barUntil);
        _setStatus(id, Status.Expelled);
        emit InstitutionExpelled(id, barUntil);
    }

    /// @inheritdoc IInstitutionRegistry
    function setClass(bytes16 id, uint8 tier, uint32 group) external restricted {
        if (_institution[id].kind == 0) revert Unknown(id);
        _requireTier(tier);
        _institution[id].tier = tier;
        _institution[id].group = group;
        emit InstitutionClassed(id, tier, group);
    }

    /// @inheritdoc IInstitutionRegistry
    function found(Application[] calldata list, uint8 tier) external restricted {
        if (_electorate.latest() != 0) revert WrongState(0, uint8(Status.Active), 0);
        _requireBetween(list.length, FOUNDERS_MIN, FOUNDERS_MAX);
        _requireTier(tier);
        for (uint256 i = 0; i < list.length; ++i) {
            for (uint256 j = 0; j < i; ++j) {
                if (_sameGroup(list[i].group, list[j].group)) revert SameGroup(list[i].group);
            }
            _submit(list[i], list[i].account);
            _admit(list[i].id, tier, _now());
            _activate(list[i].id);
        }
    }

    // ── external: staff ──

    /// @inheritdoc IInstitutionRegistry
    function addPractitioner(bytes16 inst, bytes16 cred, uint16 roles, uint64 until) external {
        _addPractitioner(msg.sender, inst, cred, roles, until);
    }

    /// @inheritdoc IInstitutionRegistry
    function addPractitionerBySig(
        bytes16 inst,
        bytes16 cred,
        uint16 roles,
        uint64 until,
        Auth calldata auth
    ) external {
        address signer = _verifyAct(auth, ADD_PRACTITIONER, _words(4));
        _addPractitioner(signer, inst, cred, roles, until);
    }

    /// @inheritdoc IInstitutionRegistry
    function setPractitioner(bytes16 cred, uint16 roles, uint64 until) external {
        _changePractitioner(msg.sender, cred, roles, until);
    }

    /// @inheritdoc IInstitutionRegistry
    function setPractitionerBySig(bytes16 cred, uint16 roles, uint64 until, Auth calldata auth)
        external
    {
        _changePractitioner(_verifyAct(auth, SET_PRACTITIONER, _words(3)), cred, roles, until);
    }

    /// @inheritdoc IInstitutionRegistry
    function endPractitioner(bytes16 cred) external {
        _endPractitioner(msg.sender, cred);
    }

    /// @inheritdoc IInstitutionRegistry
    function endPractitionerBySig(bytes16 cred, Auth calldata auth) external {
        _endPractitioner(_verifyAct(auth, END_PRACTITIONER, _words(1)), cred);
    }

    // ── views ──

    /// @inheritdoc IInstitutionRegistry
    function institution(bytes16 id) external view returns (Institution memory) {
        Stored storage inst = _institution[id];
        return Institution({
            kind: inst.kind,
            tier: inst.tier,
            sponsors: inst.sponsors,
            group: inst.group,
            appliedAt: inst.appliedAt,
            probationEnds: inst.probationEnds,
            barUntil: inst.barUntil,
            legalHash: inst.legalHash,
            endpointHash: inst.endpointHash
        });
    }

    /// @inheritdoc IInstitutionRegistry
    function practitioner(bytes16 cred) external view returns (Practitioner memory) {
        return _practitioner[cred];
    }

    /// @inheritdoc IInstitutionRegistry
    function institutionOf(bytes16 subject) external view returns (bytes16) {
        return _institution[subject].kind != 0 ? subject : _practitioner[subject].inst;
    }

    /// @inheritdoc IInstitutionRegistry
    function statusAt(bytes16 id, uint64 t) public view returns (Status) {
        if (t >= _now()) return _effective(_institution[id].status, t);
        // Cast: a time gone by fits.
        return _effective(_status[id].upperLookupRecent(uint48(t)), t);
    }

    /// @inheritdoc IInstitutionRegistry
    function isActive(bytes16 id) external view returns (bool) {
        return isActiveAt(id, _now());
    }

    /// @inheritdoc IInstitutionRegistry
    function isActiveAt(bytes16 id, uint64 t) public view returns (bool) {
        Status status = statusAt(id, t);
        return status == Status.Probation || status == Status.Active;
    }

    /// @inheritdoc IInstitutionRegistry
    function mayAct(bytes16 subject, bytes16 inst, uint16 roleMask) external view returns (bool) {
        if (subject == inst) return _institution[inst].kind != 0;
        Practitioner storage p = _practitioner[subject];
        return p.inst == inst && p.status == CredentialStatus.Live && _now() < p.until
            && p.roles & roleMask != 0;
    }

    /// @inheritdoc IInstitutionRegistry
    function sponsorsOf(bytes16 id) public view returns (bytes16 first, bytes16 second) {
        uint8 count = _institution[id].sponsors;
        if (count > 0) first = _sponsors[id][0];
        if (count > 1) second = _sponsors[id][1];
    }

    /// @inheritdoc IInstitutionRegistry
    function standing(bytes16 id) external view returns (Standing memory) {
        Stored storage inst = _institution[id];
        return Standing(inst.kind, inst.tier, inst.group, _effective(inst.status, _now()));
    }

    /// @inheritdoc IInstitutionRegistry
    function electorateAt(uint64 t) external view returns (uint256) {
        return _electorate.upperLookupRecent(t > type(uint48).max ? type(uint48).max : uint48(t));
    }

    // ── internal: applications ──

    function _submit(Application calldata application, address signer) private {
        bytes16 id = application.id;
        if (signer != application.account) revert NotParty(id, signer);
        _requireApplication(application);
        bytes32 digest = _digestOf(application);
        if (_used[digest]) revert Exists(digest);
        bool returning = _requireMayApply(application);

        _used[digest] = true;
        Stored storage inst = _institution[id];
        inst.kind = application.kind;
        inst.tier = 0;
        inst.sponsors = 0;
        inst.group = application.group;
        inst.appliedAt = _packed(_now());
        inst.legalHash = application.legalHash;
        inst.endpointHash = keccak256(bytes(application.endpoint));
        _setStatus(id, Status.Applied);
        emit InstitutionApplied(
            id,
            application.kind,
            application.group,
            application.legalHash,
            signer,
            application.name,
            application.endpoint
        );
        if (!returning) _keys().bindFirst(id, signer);
    }

    /// @dev Checks the form of an application.
    function _requireApplication(Application calldata application) private pure {
        if (application.id == 0) revert Unknown(0);
        _requireBetween(application.kind, Codes.PROVIDER, Codes.SUPERVISOR);
        _requireBetween(uint256(application.legalHash), 1, type(uint256).max);
        _requireTexts(application.name, application.endpoint);
    }

    /// @dev Checks that the legal person is new, or that it returns under its own id, bar and key.
    function _requireMayApply(Application calldata application)
        private
        view
        returns (bool returning)
    {
        bytes16 id = application.id;
        _requireLegalId(application.legalHash, id);
        Stored storage inst = _institution[id];
        if (inst.kind == 0) {
            if (_practitioner[id].status != CredentialStatus.None) revert Exists(id);
            return false;
        }
        Status status = _statusNow(id);
        if (status != Status.Expelled && status != Status.Left && status != Status.Lapsed) {
            revert Exists(id);
        }
        if (inst.legalHash != application.legalHash) {
            revert HashMismatch(application.legalHash, inst.legalHash);
        }
        if (_now() < inst.barUntil) revert Barred(inst.legalHash, inst.barUntil);
        if (_keys().subjectOf(application.account) != id) revert NotParty(id, application.account);
        return true;
    }

    function _sponsor(address signer, bytes16 id, bytes16 by) private {
        _requireActor(signer, by, Roles.ADMIN);
        _requireOpen(by);
        _requireStatus(by, Status.Active);
        _requireStatus(id, Status.Applied);
        Stored storage inst = _institution[id];
        if (_sameGroup(inst.group, _institution[by].group)) revert SameGroup(inst.group);
        (bytes16 first,) = sponsorsOf(id);
        if (first == by) revert Exists(by);

        _sponsors[id][inst.sponsors] = by;
        uint8 count = ++inst.sponsors;
        if (count == SPONSORS_NEEDED) _setStatus(id, Status.Sponsored);
        emit InstitutionSponsored(id, by, count);
    }

    /// @dev Only here a legal person is bound to its id, once others have vouched for it.
    function _admit(bytes16 id, uint8 tier, uint64 probationEnds) private {
        bytes32 legalHash = _institution[id].legalHash;
        _requireLegalId(legalHash, id);
        holderOf[legalHash] = id;
        _institution[id].tier = tier;
        _institution[id].probationEnds = _packed(probationEnds);
        _setStatus(id, Status.Probation);
        emit InstitutionAdmitted(id, tier, probationEnds);
    }

    function _activate(bytes16 id) private {
        _setStatus(id, Status.Active);
        _setElectorate(_electorate.latest() + 1);
        emit InstitutionActivated(id);
    }

    function _describe(address signer, bytes16 id, string calldata name, string calldata endpoint)
        private
    {
        _requireActor(signer, id, Roles.ADMIN);
        _requireActive(id);
        _requireTexts(name, endpoint);
        _institution[id].endpointHash = keccak256(bytes(endpoint));
        emit InstitutionDescribed(id, name, endpoint);
    }

    function _leave(address signer, bytes16 id) private {
        _requireActor(signer, id, Roles.ADMIN);
        _requireActive(id);
        if (_statusNow(id) == Status.Active) _setElectorate(_electorate.latest() - 1);
        _setStatus(id, Status.Left);
        emit InstitutionLeft(id);
    }

    // ── internal: staff ──

    function _addPractitioner(
        address signer,
        bytes16 inst,
        bytes16 cred,
        uint16 roles,
        uint64 until
    ) private {
        _requireActor(signer, inst, Roles.ADMIN);
        _requireOpen(inst);
        bool taken = _practitioner[cred].status != CredentialStatus.None;
        // Institutions and hubs hold an account from their beginning; no credential takes their id.
        bool held = _keys().keysOf(cred, Codes.ACCOUNT).length != 0;
        if (cred == 0 || taken || held) revert Exists(cred);
        _setPractitioner(inst, cred, roles, until);
    }

    function _changePractitioner(address signer, bytes16 cred, uint16 roles, uint64 until) private {
        bytes16 inst = _requireLive(cred);
        _requireActor(signer, inst, Roles.ADMIN);
        _setPractitioner(inst, cred, roles, until);
    }

    function _setPractitioner(bytes16 inst, bytes16 cred, uint16 roles, uint64 until) private {
        _requireBetween(roles, 1, Roles.ALL);
        _requireBetween(until, _now() + 1, _now() + _days(Periods.CREDENTIAL_DAYS));
        _practitioner[cred] = Practitioner(inst, roles, until, CredentialStatus.Live);
        emit PractitionerSet(cred, inst, roles, until, CredentialStatus.Live);
    }

    function _endPractitioner(address signer, bytes16 cred) private {
        bytes16 inst = _requireLive(cred);
        _requireActor(signer, inst, Roles.ADMIN);
        Practitioner storage p = _practitioner[cred];
        p.status = CredentialStatus.Ended;
        emit PractitionerSet(cred, inst, p.roles, p.until, CredentialStatus.Ended);
    }

    /// @dev Checks that a credential was not ended, and returns its institution. One whose term is
    /// over may be prolonged.
    function _requireLive(bytes16 cred) private view returns (bytes16 inst) {
        Practitioner storage p = _practitioner[cred];
        if (p.status == CredentialStatus.None) revert Unknown(cred);
        if (p.status != CredentialStatus.Live) {
            revert WrongState(cred, uint8(p.status), uint8(CredentialStatus.Live));
        }
        return p.inst;
    }

    // ── internal: status and checks ──

    function _setStatus(bytes16 id, Status status) private {
        _pushStatus(id, status, Status.None, 0);
    }

    function _pushStatus(bytes16 id, Status status, Status resumeTo, uint64 until) private {
        uint56 packed = uint56(uint8(status)) << 48 | uint56(uint8(resumeTo)) << 40 | _packed(until);
        _institution[id].status = packed;
        // The value before, and the new one, are known here.
        // slither-disable-next-line unused-return
        _status[id].push(_packed(_now()), packed);
    }

    function _setElectorate(uint208 count) private {
        // The number before, and the new one, are known here.
        // slither-disable-next-line unused-return
        _electorate.push(_packed(_now()), count);
    }

    /// @dev A status as it counts at `t`: a suspension that is over reads as the status before it.
    function _effective(uint256 packed, uint64 t) private pure returns (Status) {
        Status status = Status(uint8(packed >> 48));
        bool over = status == Status.Suspended && t >= uint40(packed);
        return over ? Status(uint8(packed >> 40)) : status;
    }

    function _statusNow(bytes16 id) private view returns (Status) {
        return statusAt(id, _now());
    }

    /// @dev Status before a suspension that is under way.
    function _resumeTo(bytes16 id) private view returns (Status) {
        // Cast: bits 40–47 hold the status to resume.
        return Status(uint8(_institution[id].status >> 40));
    }

    function _requireStatus(bytes16 id, Status want) private view {
        Status have = _statusNow(id);
        if (have == Status.None) revert Unknown(id);
        if (have != want) revert WrongState(id, uint8(have), uint8(want));
    }

    /// @dev Checks that nobody else was admitted as this legal person.
    function _requireLegalId(bytes32 legalHash, bytes16 id) private view {
        bytes16 holder = holderOf[legalHash];
        if (holder != 0 && holder != id) revert LegalIdInUse(legalHash, holder);
    }

    function _requireTier(uint8 tier) private pure {
        _requireBetween(tier, Codes.UNACCREDITED, Codes.SPONSORED);
    }

    function _requireTexts(string calldata name, string calldata endpoint) private pure {
        _requireBetween(bytes(name).length, 1, NAME_MAX_BYTES);
        _requireBetween(bytes(endpoint).length, 0, ENDPOINT_MAX_BYTES);
    }

    function _sameGroup(uint32 a, uint32 b) private pure returns (bool) {
        return a != 0 && a == b;
    }

    function _digestOf(Application calldata application) private view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    APPLICATION,
                    application.id,
                    application.kind,
                    application.group,
                    application.legalHash,
                    keccak256(bytes(application.name)),
                    keccak256(bytes(application.endpoint)),
                    application.account,
                    application.salt
                )
            )
        );
    }

    /// @dev This registry answers for itself, also once Directory names a successor.
    function _institutions() internal view override returns (IInstitutionRegistry) {
        return this;
    }
}
// slither-disable-end incorrect-equality
