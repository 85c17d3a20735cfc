// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICareRegistry} from "../../../contracts/interfaces/ICareRegistry.sol";
import {BreakGlassBase} from "../BreakGlassBase.t.sol";

/// @notice Invariant A6, and the arrows of cases and agreements, whoever is silent and for how
/// long.
contract BreakGlassInvariantTest is BreakGlassBase {
    uint256 private constant CASES_MAX = 6;

    bytes32[] private _ids;
    bytes32 private _agreementId;
    mapping(bytes32 id => uint8 status) private _seen;
    uint8 private _agreementSeen;
    bytes16 private _mover;
    ICareRegistry.BreakGlass private _unposted;
    bytes private _signature;
    string private _broken;

    function setUp() public override {
        super.setUp();
        vm.prank(north.addr);
        _agreementId = care.proposeAgreement(
            ICareRegistry.Agreement({
                a: NORTH,
                b: SOUTH,
                purposes: 0x6,
                validFrom: _now(),
                validUntil: _now() + 1000 * DAY,
                dutySecs: 60,
                termsHash: TERMS,
                salt: 0
            })
        );
        _agreementSeen = 1;
        _mover = NORTH;
        bytes4[] memory selectors = new bytes4[](7);
        selectors[0] = this.open.selector;
        selectors[1] = this.coSignOne.selector;
        selectors[2] = this.reportOne.selector;
        selectors[3] = this.reviewOne.selector;
        selectors[4] = this.closeOne.selector;
        selectors[5] = this.wait.selector;
        selectors[6] = this.agreeOn.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    // ──────────────────────────────────────────────────────────────

    /// @dev A case posted at once, or signed now and proven to be unposted later.
    function open(bool silent) external noted {
        if (_ids.length == CASES_MAX) return;
        ICareRegistry.BreakGlass memory b = _emergency();
        if (!silent) {
            _ids.push(_openCase(b));
        } else if (_unposted.openedAt == 0) {
            _unposted = b;
            _signature = _sign(medic, _caseId(b));
        } else {
            vm.prank(stranger);
            try care.proveUnreported(_unposted, medic.addr, _signature) returns (bytes32 id) {
                _ids.push(id);
                if (_now() < _unposted.openedAt + 2 * HOUR) _broken = "proven within its time";
            } catch {}
            delete _unposted;
        }
    }

    function coSignOne(uint256 pick) external noted {
        vm.prank(second.addr);
        try care.coSign(_pick(pick), secondId) {} catch {}
    }

    function reportOne(uint256 pick) external noted {
        vm.prank(south.addr);
        try care.report(_pick(pick), REPORT_HASH) {} catch {}
    }

    function reviewOne(uint256 pick, bool justified) external noted {
        vm.prank(north.addr);
        try care.review(_pick(pick), justified, REVIEW_HASH) {} catch {}
    }

    function closeOne(uint256 pick) external noted {
        vm.prank(stranger);
        try care.closeBreakGlass(_pick(pick)) {} catch {}
    }

    function wait(uint32 secs) external noted {
        vm.warp(_now() + secs % (30 * HOUR));
    }

    /// @dev Both sides answer, suspend and resume an agreement; ending it is rare.
    function agreeOn(bool byNorth, uint8 what) external noted {
        ICareRegistry.AgreementState memory g = care.agreement(_agreementId);
        address by = byNorth ? north.addr : south.addr;
        vm.prank(by);
        if (what % 8 < 3) {
            try care.answerAgreement(_agreementId, true) {
                if (g.mover == (byNorth ? NORTH : SOUTH)) _broken = "answered oneself";
            } catch {}
        } else if (what % 8 < 5) {
            try care.moveAgreement(_agreementId, 3) {} catch {}
        } else if (what < 250) {
            try care.moveAgreement(_agreementId, 2) {
                if (g.mover != (byNorth ? NORTH : SOUTH)) _broken = "resumed by the other";
            } catch {}
        } else {
            try care.moveAgreement(_agreementId, 4) {} catch {}
        }
    }

    // ──────────────────────────────────────────────────────────────

    /// @dev A6. What the check does is undone afterwards: it asks what one call would lead to.
    function invariant_EveryCaseEndsInTimeAndItsAccessAfterADay() public {
        assertEq(_broken, "");
        for (uint256 i = 0; i < _ids.length; ++i) {
            ICareRegistry.BreakGlassCase memory c = care.breakGlass(_ids[i]);
            if (_now() >= c.openedAt + 24 * HOUR) {
                assertFalse(care.liveBreakGlass(_ids[i], _now()), "access after a day");
            }
            if (_now() <= c.openedAt + 144 * HOUR) continue;
            if (c.status < ICareRegistry.CaseStatus.Justified) care.closeBreakGlass(_ids[i]);
            assertGe(
                uint8(care.breakGlass(_ids[i]).status), uint8(ICareRegistry.CaseStatus.Justified)
            );
        }
    }

    modifier noted() {
        _;
        for (uint256 i = 0; i < _ids.length; ++i) {
            uint8 status = uint8(care.breakGlass(_ids[i]).status);
            uint8 before = _seen[_ids[i]];
            if (status != before && (_arrows(before) >> status) & 1 == 0) {
                _broken = "no such arrow";
            }
            _seen[_ids[i]] = status;
        }
        uint8 now_ = uint8(care.agreement(_agreementId).status);
        bool moved = now_ != _agreementSeen;
        if (moved && (_agreementArrows(_agreementSeen) >> now_) & 1 == 0) {
            _broken = "no such arrow";
        }
        _agreementSeen = now_;
    }

    function _arrows(uint8 from) private pure returns (uint256) {
        if (from == 0) return 1 << 1 | 1 << 7;
        if (from == 1) return 1 << 2 | 1 << 3 | 1 << 4 | 1 << 7;
        if (from == 2 || from == 3) return 1 << 4 | 1 << 7;
        if (from == 4) return 1 << 5 | 1 << 6;
        return 0;
    }

    function _agreementArrows(uint8 from) private pure returns (uint256) {
        if (from == 1) return 1 << 2 | 1 << 4;
        if (from == 2) return 1 << 3 | 1 << 4;
        if (from == 3) return 1 << 2 | 1 << 4;
        return 0;
    }

    function _pick(uint256 pick) private view returns (bytes32) {
        return _ids.length == 0 ? bytes32(0) : _ids[pick % _ids.length];
    }
}
