// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessRegistry} from "../../../contracts/interfaces/IAccessRegistry.sol";
import {Codes} from "../../../contracts/libraries/Codes.sol";
import {Roles} from "../../../contracts/libraries/Roles.sol";
import {AccessBase} from "../AccessBase.t.sol";

/// @notice Invariants A1, A3, A4 and A5: whatever the two sides, a stranger and time do to grants.
/// @dev The functions between the lines are what the fuzzer calls, in any order. Each notes what it
/// sees afterwards; a broken rule is kept in `_broken`, since a check that fails in a handler would
/// count as a refused call only.
contract AccessGrantsInvariantTest is AccessBase {
    uint256 private constant GRANTS_MAX = 6;

    bytes32[] private _ids;
    bytes16[2] private _creds;
    mapping(bytes32 grantId => uint8 status) private _seen;
    mapping(bytes32 grantId => bytes32) private _terms;
    string private _broken;

    function setUp() public override {
        super.setUp();
        (_creds[0],) = _staff(south, SOUTH, "first delegate", Roles.CLINICIAN);
        (_creds[1],) = _staff(south, SOUTH, "second delegate", Roles.RESEARCHER);
        bytes4[] memory selectors = new bytes4[](8);
        selectors[0] = this.ask.selector;
        selectors[1] = this.counterOffer.selector;
        selectors[2] = this.answer.selector;
        selectors[3] = this.move.selector;
        selectors[4] = this.anyone.selector;
        selectors[5] = this.delegateTo.selector;
        selectors[6] = this.suspendOne.selector;
        selectors[7] = this.wait.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    // ──────────────────────────────────────────────────────────────

    function ask(uint32 delay, uint32 term) external noted {
        if (_ids.length == GRANTS_MAX) return;
        IAccessRegistry.AccessRequest memory r = _draft();
        r.validFrom = _now() + delay % (5 * DAY);
        r.validUntil = r.validFrom + 1 + term % (30 * DAY);
        vm.prank(south.addr);
        try access.request(r) returns (bytes32 id) {
            _ids.push(id);
        } catch {}
    }

    function counterOffer(uint256 pick, uint32 term, bool byOwner) external noted {
        bytes32 id = _pick(pick);
        IAccessRegistry.CounterOffer memory c;
        c.grantId = id;
        c.round = access.grant(id).round + 1;
        c.mode = Codes.COMPUTE;
        c.validFrom = _now();
        c.validUntil = _now() + 1 + term % (30 * DAY);
        c.answerBy = _now() + DAY;
        c.scopeHash = keccak256(abi.encode(term));
        c.termsHash = TERMS;
        vm.prank(_side(byOwner));
        try access.counter(c) {} catch {}
    }

    function answer(uint256 pick, uint8 what, bool byOwner) external noted {
        bytes32 id = _pick(pick);
        IAccessRegistry.Grant memory g = access.grant(id);
        vm.prank(_side(byOwner));
        if (what % 4 == 0) {
            try access.refuse(id, 1, REASON) {} catch {}
        } else {
            try access.accept(id, g.document) {} catch {}
        }
    }

    function move(uint256 pick, uint8 what, bool byOwner) external noted {
        bytes32 id = _pick(pick);
        vm.prank(_side(byOwner));
        if (what % 8 == 0) {
            try access.revoke(id, 8, REASON) {} catch {}
        } else if (what % 8 == 1) {
            try access.complete(id) {} catch {}
        } else if (what % 8 == 2) {
            try access.withdrawRequest(id) {} catch {}
        } else if (what % 2 == 0) {
            try access.suspend(id) {} catch {}
        } else {
            try access.resume(id) {} catch {}
        }
    }

    function anyone(uint256 pick, bool late) external noted {
        bytes32 id = _pick(pick);
        vm.prank(stranger);
        if (late) {
            try access.expire(id) {} catch {}
        } else {
            try access.lapse(id) {} catch {}
        }
    }

    function delegateTo(uint256 pick, uint8 which, uint32 term, bool end) external noted {
        bytes32 id = _pick(pick);
        bytes16 cred = _creds[which % 2];
        vm.prank(south.addr);
        if (end) {
            try access.endDelegation(id, cred) {} catch {}
        } else {
            try access.delegate(id, cred, _now() + term % (40 * DAY)) {} catch {}
        }
    }

    function suspendOne(bool theOwner, uint32 term) external noted {
        bytes16 inst = theOwner ? NORTH : SOUTH;
        vm.prank(address(sanctions));
        try institutions.setSuspended(inst, _now() + 1 + term % (3 * DAY), REASON) {} catch {}
    }

    function wait(uint32 secs) external noted {
        vm.warp(_now() + secs % (3 * DAY));
    }

    // ──────────────────────────────────────────────────────────────

    function invariant_GrantsFollowTheirRules() public view {
        assertEq(_broken, "");
        for (uint256 i = 0; i < _ids.length; ++i) {
            _liveIsGrantedInTimeAndBetweenEffectiveParties(_ids[i]);
            _delegationsStayWithin(_ids[i]);
        }
    }

    /// @dev A1.
    function _liveIsGrantedInTimeAndBetweenEffectiveParties(bytes32 id) private view {
        if (!access.liveGrant(id, _now())) return;
        IAccessRegistry.Grant memory g = access.grant(id);
        assertEq(uint8(g.status), uint8(IAccessRegistry.Status.Granted));
        assertTrue(g.validFrom <= _now() && _now() < g.validUntil, "between its dates");
        assertTrue(institutions.isActive(g.owner) && institutions.isActive(g.requester));
    }

    /// @dev A1 and A5.
    function _delegationsStayWithin(bytes32 id) private view {
        uint256 count = 0;
        for (uint256 i = 0; i < 2; ++i) {
            uint64 until = access.delegationUntil(id, _creds[i]);
            if (until != 0) ++count;
            assertLe(until, access.grant(id).validUntil, "outlives its grant");
            if (!access.liveDelegation(id, _creds[i], _now())) continue;
            assertTrue(access.liveGrant(id, _now()), "wider than its grant");
            assertLt(_now(), until);
            assertTrue(institutions.mayAct(_creds[i], SOUTH, Roles.ALL), "dead credential");
        }
        assertEq(access.grant(id).delegations, count, "counted");
    }

    modifier noted() {
        if (_ids.length == 0) _first();
        _;
        for (uint256 i = 0; i < _ids.length; ++i) {
            _note(_ids[i]);
        }
    }

    function _first() private {
        vm.prank(south.addr);
        try access.request(_draft()) returns (bytes32 id) {
            _ids.push(id);
            _note(id);
        } catch {}
    }

    /// @dev A3: only the arrows of the design; A4: nothing changes once it is granted.
    function _note(bytes32 id) private {
        IAccessRegistry.Grant memory g = access.grant(id);
        uint8 status = uint8(g.status);
        if (status != _seen[id] && (_arrows(_seen[id]) >> status) & 1 == 0) {
            _broken = "no such arrow";
        }
        _seen[id] = status;
        if (g.grantedAt == 0) return;
        bytes32 terms = keccak256(
            abi.encode(
                g.requester,
                g.owner,
                g.dataset,
                g.purpose,
                g.duo,
                g.mode,
                g.validFrom,
                g.validUntil,
                g.deliverWithin,
                g.document
            )
        );
        if (_terms[id] == 0) _terms[id] = terms;
        if (_terms[id] != terms) _broken = "terms changed after acceptance";
    }

    /// @dev Bit n: the status n follows this one.
    function _arrows(uint8 from) private pure returns (uint256) {
        if (from == 0) return 1 << 1;
        if (from == 1) return 1 << 2 | 1 << 3 | 1 << 8 | 1 << 9 | 1 << 10;
        if (from == 2) return 1 << 1 | 1 << 3 | 1 << 9 | 1 << 10;
        if (from == 3) return 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7;
        if (from == 4) return 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7;
        return 0;
    }

    function _pick(uint256 pick) private view returns (bytes32) {
        return _ids.length == 0 ? bytes32(0) : _ids[pick % _ids.length];
    }

    function _side(bool byOwner) private view returns (address) {
        return byOwner ? north.addr : south.addr;
    }
}
