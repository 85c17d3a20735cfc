// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title InstitutionRegistry: who is who, and which staff they answer for.
/// @notice Holds no name of a person. A legal person has one id for good, from its admission on: it
/// may leave and return, but never start anew. Applications alone bind nothing: whoever applies
/// under a public register number that is not theirs blocks nobody.
interface IInstitutionRegistry is IModule {
    /// @notice Applied → Sponsored → Probation → Active ⇄ Suspended → Expelled; Probation
    /// ⇄
    /// Suspended; Probation, Active → Left; Applied, Sponsored → Lapsed; Expelled (after its
    /// bar),
    /// Left and Lapsed → Applied again under the same id.
    enum Status {
        None,
        Applied,
        Sponsored,
        Probation,
        Active,
        Suspended,
        Expelled,
        Left,
        Lapsed
    }

    /// @notice None → Live → Ended.
    enum CredentialStatus {
        None,
        Live,
        Ended
    }

    /// @notice Document: an institution asks to be admitted. Signed by `account`.
    /// @param id Drawn at random by the applicant.
    /// @param kind 1 Provider, 2 Research, 3 Service, 4 Customer, 5 Supervisor.
    /// @param group Number of the group of companies it belongs to; 0 for none.
    /// @param legalHash `keccak256(abi.encode(string scheme, string value))` of a public register
    /// number.
    /// @param name Public name, 1…128 bytes of UTF-8.
    /// @param endpoint Public address of its edge, at most 256 bytes; may be empty.
    /// @param account First account that speaks for it.
    /// @param salt Random, so that no two applications have the same digest.
    struct Application {
        bytes16 id;
        uint8 kind;
        uint32 group;
        bytes32 legalHash;
        string name;
        string endpoint;
        address account;
        bytes32 salt;
    }

    /// @notice What is kept about an institution. Times in seconds since 1970.
    /// @param kind As in the application.
    /// @param tier 1 unaccredited, 2 accredited, 3 sponsored; 0 before admission.
    /// @param sponsors Sponsors of the present application, at most 2.
    /// @param group As in the application, or as classed later; 0 for none.
    /// @param appliedAt When it applied last.
    /// @param probationEnds When it may be activated.
    /// @param barUntil After an expulsion: when it may apply again.
    /// @param legalHash As in the application.
    /// @param endpointHash keccak256 of the endpoint described last.
    struct Institution {
        uint8 kind;
        uint8 tier;
        uint8 sponsors;
        uint32 group;
        uint64 appliedAt;
        uint64 probationEnds;
        uint64 barUntil;
        bytes32 legalHash;
        bytes32 endpointHash;
    }

    /// @notice What counts about an institution now; kind 0 if unknown.
    struct Standing {
        uint8 kind;
        uint8 tier;
        uint32 group;
        Status status;
    }

    /// @notice A member of staff, under a pseudonym.
    /// @param inst Institution that answers for the holder.
    /// @param roles Role bits (`libraries/Roles.sol`).
    /// @param until End, in seconds since 1970; from then on it is not live.
    /// @param status Live or Ended.
    struct Practitioner {
        bytes16 inst;
        uint16 roles;
        uint64 until;
        CredentialStatus status;
    }

    /// @notice `id` asks to be admitted; its first account is `account`.
    event InstitutionApplied(
        bytes16 indexed id,
        uint8 kind,
        uint32 group,
        bytes32 indexed legalHash,
        address indexed account,
        string name,
        string endpoint
    );

    /// @notice `by` vouched for `id`, which has `count` sponsors now.
    event InstitutionSponsored(bytes16 indexed id, bytes16 indexed by, uint8 count);

    /// @notice `id` is on probation until `probationEnds`.
    event InstitutionAdmitted(bytes16 indexed id, uint8 tier, uint64 probationEnds);

    /// @notice `id` is a full member.
    event InstitutionActivated(bytes16 indexed id);

    /// @notice The application of `id` grew too old.
    event ApplicationLapsed(bytes16 indexed id);

    /// @notice `id` is called `name` and its edge answers at `endpoint`.
    event InstitutionDescribed(bytes16 indexed id, string name, string endpoint);

    /// @notice `id` left. Its duties and open cases go on.
    event InstitutionLeft(bytes16 indexed id);

    /// @notice `id` is suspended until `until`, or no longer (0), for case `caseId`.
    event InstitutionSuspended(bytes16 indexed id, uint64 until, bytes32 indexed caseId);

    /// @notice `id` is expelled and may not apply before `barUntil`.
    event InstitutionExpelled(bytes16 indexed id, uint64 barUntil);

    /// @notice Governance set tier and group of `id`.
    event InstitutionClassed(bytes16 indexed id, uint8 tier, uint32 group);

    /// @notice Credential `cred` of `inst` has these roles, this end and this status.
    event PractitionerSet(
        bytes16 indexed cred,
        bytes16 indexed inst,
        uint16 roles,
        uint64 until,
        CredentialStatus status
    );

    /// @notice The legal person behind `legalHash` is already known as `holder`.
    error LegalIdInUse(bytes32 legalHash, bytes16 holder);

    /// @notice The legal person was expelled and may apply again from `until` on.
    error Barred(bytes32 legalHash, uint64 until);

    /// @notice Both institutions belong to group `group` (0: they are the same institution).
    error SameGroup(uint32 group);

    // ── life of an institution ──

    /// @notice Applies for admission, or again after leaving. The sender is the account named.
    /// @dev Who applies again must still hold a live key of the id: a bare application never takes
    /// over a history. The account is bound in KeyRegistry.
    function submitApplication(Application calldata application) external;

    /// @notice The same, signed by the account named and sent by anyone.
    function submitApplicationBySig(
        Application calldata application,
        address signer,
        bytes calldata signature
    ) external;

    /// @notice Vouches for an applicant. ADMIN of `by`, which is active and of another group. The
    /// second sponsor makes it Sponsored.
    function sponsor(bytes16 id, bytes16 by) external;
    function sponsorBySig(bytes16 id, bytes16 by, Auth calldata auth) external;

    /// @notice Admits a sponsored applicant on probation of 90 d, and binds its legal person to its
    /// id for good. Restricted to GOVERNANCE.
    function admit(bytes16 id, uint8 tier) external;

    /// @notice Ends probation. Anyone, once it is over.
    function activate(bytes16 id) external;

    /// @notice Ends an application that is older than 90 d. Anyone.
    function lapseApplication(bytes16 id) external;

    /// @notice Changes the public name and endpoint. ADMIN of `id`, on probation or active.
    function describe(bytes16 id, string calldata name, string calldata endpoint) external;
    function describeBySig(
        bytes16 id,
        string calldata name,
        string calldata endpoint,
        Auth calldata auth
    ) external;

    /// @notice Leaves. ADMIN of `id`, on probation or active. Open cases go on.
    function leaveNetwork(bytes16 id) external;
    function leaveNetworkBySig(bytes16 id, Auth calldata auth) external;

    /// @notice Suspends until a time, moves that time, or lifts (0). Restricted to SANCTIONS.
    /// @dev A suspension ends by itself: from `until` on the earlier status counts again.
    function setSuspended(bytes16 id, uint64 until, bytes32 caseId) external;

    /// @notice Expels a suspended institution, with a bar of 1 to 10 years. Restricted to
    /// GOVERNANCE.
    function expel(bytes16 id, uint64 barUntil) external;

    /// @notice Sets tier and group. Restricted to GOVERNANCE.
    function setClass(bytes16 id, uint8 tier, uint32 group) external;

    /// @notice Founds the network: 3 to 32 institutions of different groups, active at once, while
    /// nobody is. Restricted to FOUNDER.
    function found(Application[] calldata list, uint8 tier) external;

    // ── staff ──

    /// @notice Adds a credential. ADMIN of `inst`, which is on probation or active.
    /// @param cred Id drawn at random, no other subject's.
    /// @param roles At least one role bit.
    /// @param until At most 400 d ahead.
    function addPractitioner(bytes16 inst, bytes16 cred, uint16 roles, uint64 until) external;
    function addPractitionerBySig(
        bytes16 inst,
        bytes16 cred,
        uint16 roles,
        uint64 until,
        Auth calldata auth
    ) external;

    /// @notice Changes roles and term of a live credential. ADMIN of its institution.
    function setPractitioner(bytes16 cred, uint16 roles, uint64 until) external;
    function setPractitionerBySig(bytes16 cred, uint16 roles, uint64 until, Auth calldata auth)
        external;

    /// @notice Ends a credential for good. ADMIN of its institution.
    function endPractitioner(bytes16 cred) external;
    function endPractitionerBySig(bytes16 cred, Auth calldata auth) external;

    // ── views ──

    /// @notice What is kept about an institution; kind 0 if unknown.
    function institution(bytes16 id) external view returns (Institution memory);

    /// @notice Institution that was admitted for a legal person; 0 if none was.
    function holderOf(bytes32 legalHash) external view returns (bytes16);

    /// @notice What is kept about a credential; status None if unknown.
    function practitioner(bytes16 cred) external view returns (Practitioner memory);

    /// @notice The institution that answers for a subject: itself, or its credential's; 0 if
    /// unknown.
    function institutionOf(bytes16 subject) external view returns (bytes16);

    /// @notice Status at a time that has come. A suspension that was over by then reads as the
    /// status before it.
    function statusAt(bytes16 id, uint64 t) external view returns (Status);

    /// @notice Whether it is on probation or active now: whether it may open something.
    function isActive(bytes16 id) external view returns (bool);

    /// @notice Whether it was on probation or active at `t`.
    function isActiveAt(bytes16 id, uint64 t) external view returns (bool);

    /// @notice Whether `subject` speaks for `inst`: it is the institution itself, or a live
    /// credential of it with one of the roles in `roleMask`.
    function mayAct(bytes16 subject, bytes16 inst, uint16 roleMask) external view returns (bool);

    /// @notice Who vouched for the institution's last application; zeros for a founder.
    function sponsorsOf(bytes16 id) external view returns (bytes16 first, bytes16 second);

    /// @notice What counts about an institution now, from one slot: for other modules.
    function standing(bytes16 id) external view returns (Standing memory);

    /// @notice How many institutions had been activated and had not left by `t`. A suspended one
    /// still counts, so that nobody wins a vote by suspending rivals.
    function electorateAt(uint64 t) external view returns (uint256);
}
