// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title Sanctions: what a ruling does.
/// @notice Every sanction has a case and an end, and no end moves outwards. The ladder is in
/// `libraries/SanctionRules.sol`. A panel may impose an interim sanction for at most 14 d; it ends
/// with its case at the latest.
interface ISanctions is IModule {
    /// @notice InForce → Served | Lifted. A ruling that may be appealed has no sanction yet.
    enum Status {
        None,
        Pending,
        InForce,
        Served,
        Lifted
    }

    /// @notice One sanction; its id is `keccak256(abi.encode(bytes32 caseId, bytes16 party))`, and
    /// `keccak256(abi.encode(bytes32 caseId, bytes16 party, bool true))` for an interim one.
    /// @param party Institution it binds.
    /// @param level 1 Warn, 2 QuotaCut, 3 NoRequest, 4 Suspended.
    /// @param status InForce until pruned or lifted; its effect ends at `until` by itself.
    /// @param from First second of its effect, since 1970.
    /// @param until Second after its last, since 1970.
    /// @param caseId Case it follows from.
    struct Sanction {
        bytes16 party;
        uint8 level;
        Status status;
        uint64 from;
        uint64 until;
        bytes32 caseId;
    }

    event SanctionImposed(
        bytes32 indexed sanctionId,
        bytes16 indexed party,
        uint8 level,
        uint64 from,
        uint64 until,
        bytes32 indexed caseId,
        bool interim
    );
    /// @notice A critical ruling asks the institutions to vote on expulsion.
    event ExpulsionProposed(bytes16 indexed party, bytes32 indexed caseId);
    /// @param reasonHash As governance gave it; the case's id for an interim sanction that ended
    /// with its case.
    event SanctionLifted(bytes32 indexed sanctionId, bytes32 reasonHash);
    event SanctionServed(bytes32 indexed sanctionId);

    /// @notice Imposes what the ladder says for an upheld case. Restricted to CASES.
    /// @param severity 1 minor, 2 major, 3 critical.
    function impose(bytes32 caseId, bytes16 party, uint8 severity) external;

    /// @notice Imposes an interim sanction, once a case. Restricted to PANEL.
    /// @param level 2 QuotaCut, 3 NoRequest, 4 Suspended.
    /// @param until Its end, later than now and at most 14 d ahead, in seconds since 1970.
    function interim(bytes32 caseId, bytes16 party, uint8 level, uint64 until) external;

    /// @notice Ends a case's interim sanction, if one is in force. Restricted to CASES.
    function endInterim(bytes32 caseId, bytes16 party) external;

    /// @notice Ends a sanction before its time. Restricted to GOVERNANCE.
    /// @param reasonHash Commitment to the reason.
    function lift(bytes32 sanctionId, bytes32 reasonHash) external;

    /// @notice Marks the party's ended sanctions as served. Anyone.
    function prune(bytes16 party) external;

    /// @notice Whether the party may request access now: no NoRequest, no Suspended.
    function mayRequest(bytes16 party) external view returns (bool);

    /// @notice Whether the party may be asked for data or sit on a panel now: not Suspended.
    function mayServe(bytes16 party) external view returns (bool);

    /// @notice Whether the party should sign blocks now: not Suspended. Advice to operators of
    /// signers; no consensus rule reads it.
    function maySign(bytes16 party) external view returns (bool);

    /// @notice Whether the party's request quota counts a quarter now.
    function quotaCut(bytes16 party) external view returns (bool);

    /// @notice The highest level in effect now; 0 for none.
    function levelOf(bytes16 party) external view returns (uint8);

    /// @notice Sanctions of the party that have not been served or lifted, at most 8: ids, oldest
    /// first.
    function sanctions(bytes16 party) external view returns (bytes32[] memory);

    /// @notice One sanction; status None if unknown.
    function sanction(bytes32 sanctionId) external view returns (Sanction memory);
}
