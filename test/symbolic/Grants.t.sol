// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {AccessRegistry} from "../../contracts/access/AccessRegistry.sol";
import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {World} from "./World.sol";

/// @title A2, A3, A4: one act, any act, in a world that says yes to everybody, on a grant that was
/// requested and answered in any way.
contract GrantsProof is Test {
    uint64 private constant START = 1_800_000_000;
    bytes16 private constant REQUESTER = bytes16(uint128(3));
    bytes16 private constant OWNER = bytes16(uint128(1));

    AccessRegistry private _access;
    bytes32 private _grantId;

    function setUp() public {
        address world = address(new World());
        _access = new AccessRegistry(world, world);
        vm.warp(START);
        _grantId = _access.request(
            IAccessRegistry.AccessRequest({
                requester: REQUESTER,
                owner: OWNER,
                dataset: "dataset",
                purpose: 5,
                duo: 1,
                mode: 1,
                validFrom: START,
                validUntil: START + 100 days,
                answerBy: START + 7 days,
                deliverWithin: 0,
                scopeHash: "scope",
                termsHash: "terms",
                renews: 0,
                salt: "salt"
            })
        );
    }

    /// @dev One of the acts on a grant, by number.
    function _act(uint8 which) private {
        if (which == 0) _access.accept(_grantId, _grantId);
        if (which == 1) _access.refuse(_grantId, 1, 0);
        if (which == 2) _access.withdrawRequest(_grantId);
        if (which == 3) _access.lapse(_grantId);
        if (which == 4) _access.revoke(_grantId, 1, 0);
        if (which == 5) _access.suspend(_grantId);
        if (which == 6) _access.resume(_grantId);
        if (which == 7) _access.complete(_grantId);
        if (which == 8) _access.expire(_grantId);
    }

    function _try(uint8 which) private {
        try this.act(which) {} catch {}
    }

    function act(uint8 which) external {
        _act(which);
    }

    /// @dev A3: from Revoked, Expired, Completed, Refused, Withdrawn and Lapsed no act leads away.
    function check_EndedGrantsStayEnded(uint8 end, uint8 then, uint40 wait) external {
        vm.assume(end < 9 && then < 9);
        _try(0);
        vm.warp(uint256(START) + wait);
        _try(end);
        IAccessRegistry.Grant memory ended = _access.grant(_grantId);
        if (uint8(ended.status) < 5) return;
        _try(then);
        assert(_access.grant(_grantId).status == ended.status);
        assert(!_access.liveGrant(_grantId, uint64(block.timestamp)));
    }

    /// @dev A2: what is live was accepted, in its term, and has not ended.
    function check_LiveMeansAcceptedAndInTerm(uint8 first, uint8 second, uint40 wait) external {
        vm.assume(first < 9 && second < 9);
        _try(first);
        vm.warp(uint256(START) + wait);
        _try(second);
        uint64 t = uint64(block.timestamp);
        if (!_access.liveGrant(_grantId, t)) return;
        IAccessRegistry.Grant memory g = _access.grant(_grantId);
        assert(g.status == IAccessRegistry.Status.Granted && g.grantedAt != 0);
        assert(g.validFrom <= t && t < g.validUntil);
    }

    /// @dev A4: parties, purpose, scope, terms and dates stay as accepted.
    function check_TermsStayAsAccepted(uint8 first, uint8 second, uint40 wait) external {
        vm.assume(first < 9 && second < 9);
        _access.accept(_grantId, _grantId);
        vm.warp(uint256(START) + wait);
        _try(first);
        _try(second);
        IAccessRegistry.Grant memory g = _access.grant(_grantId);
        assert(g.requester == REQUESTER && g.owner == OWNER && g.dataset == "dataset");
        assert(g.purpose == 5 && g.duo == 1 && g.mode == 1);
        assert(g.document == _grantId);
        assert(g.validFrom == START && g.validUntil == START + 100 days);
    }
}
