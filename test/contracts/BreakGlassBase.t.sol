// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {ICareRegistry} from "../../contracts/interfaces/ICareRegistry.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @title A night in the south: `medic` looks at records of the north, `second` may stand for it.
abstract contract BreakGlassBase is AccessBase {
    string internal constant BREAK_GLASS_TYPE =
        "BreakGlass(bytes16 requester,bytes16 owner,bytes16 credential,uint64 openedAt,bytes32 subjectCommit,bytes32 reasonHash,bytes32 salt)";
    bytes32 internal constant REPORT_HASH = keccak256("test/report");
    bytes32 internal constant REVIEW_HASH = keccak256("test/review");

    ICareRegistry internal care;
    bytes16 internal medicId;
    Vm.Wallet internal medic;
    bytes16 internal secondId;
    Vm.Wallet internal second;
    uint256 private _salt;

    function setUp() public virtual override {
        super.setUp();
        care = ICareRegistry(_at(Codes.CARE_REGISTRY));
        (medicId, medic) = _staff(south, SOUTH, "medic", Roles.EMERGENCY | Roles.CLINICIAN);
        (secondId, second) = _staff(south, SOUTH, "second", Roles.CLINICIAN);
    }

    /// @dev Emergency access in good form, opened in the hour that began last.
    function _emergency() internal returns (ICareRegistry.BreakGlass memory) {
        return ICareRegistry.BreakGlass({
            requester: SOUTH,
            owner: NORTH,
            credential: medicId,
            openedAt: _now() - _now() % HOUR,
            subjectCommit: keccak256("test/patient"),
            reasonHash: REASON,
            salt: keccak256(abi.encode("break-glass", ++_salt))
        });
    }

    function _caseId(ICareRegistry.BreakGlass memory b) internal view returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(keccak256(bytes(BREAK_GLASS_TYPE)), b));
        return _digest(address(care), "CareRegistry", structHash);
    }

    function _openCase(ICareRegistry.BreakGlass memory b) internal returns (bytes32) {
        vm.prank(medic.addr);
        return care.openBreakGlass(b);
    }

    function _opened() internal returns (bytes32) {
        return _openCase(_emergency());
    }

    function _coSigned() internal returns (bytes32 id) {
        id = _opened();
        vm.prank(second.addr);
        care.coSign(id, secondId);
    }

    function _reported() internal returns (bytes32 id) {
        id = _coSigned();
        vm.prank(south.addr);
        care.report(id, REPORT_HASH);
    }

    /// @dev State and fault of a case.
    function _caseIs(bytes32 id, ICareRegistry.CaseStatus status, uint8 faultCode) internal view {
        ICareRegistry.BreakGlassCase memory c = care.breakGlass(id);
        assertEq(uint8(c.status), uint8(status), "case's status");
        assertEq(c.faultCode, faultCode, "fault");
        (uint8 code, uint8 side) = care.faultOf(id);
        assertEq(code, faultCode);
        uint8 want = faultCode == Codes.REVIEW_SILENT ? Codes.SIDE_OWNER : Codes.SIDE_REQUESTER;
        assertEq(side, faultCode == 0 ? 0 : want, "side");
    }
}
