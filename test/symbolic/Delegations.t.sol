// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {AccessRegistry} from "../../contracts/access/AccessRegistry.sol";
import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {World} from "./World.sol";

/// @title A5: a delegation never outlives or widens its grant, and a delegate cannot delegate.
contract DelegationsProof is Test {
    uint64 private constant START = 1_800_000_000;
    uint64 private constant END = START + 100 days;
    bytes16 private constant REQUESTER = bytes16(uint128(3));
    bytes16 private constant OWNER = bytes16(uint128(1));
    bytes16 private constant CREDENTIAL = bytes16(uint128(7));

    World private _world;
    AccessRegistry private _access;
    bytes32 private _grantId;

    function setUp() public {
        _world = new World();
        _access = new AccessRegistry(address(_world), address(_world));
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
                validUntil: END,
                answerBy: START + 7 days,
                deliverWithin: 0,
                scopeHash: "scope",
                termsHash: "terms",
                renews: 0,
                salt: "salt"
            })
        );
        _access.accept(_grantId, _grantId);
    }

    /// @dev Whatever end is asked for and whatever happens to the grant then: at no time is the
    /// delegation live without the grant.
    function check_NoDelegationOutlivesItsGrant(uint64 until, uint40 wait, uint8 then, uint40 later)
        external
    {
        vm.assume(then < 5);
        vm.warp(uint256(START) + wait);
        try _access.delegate(_grantId, CREDENTIAL, until) {} catch {}
        uint64 end = _access.delegationUntil(_grantId, CREDENTIAL);
        assert(end == 0 || (end == until && block.timestamp < end && end <= END));

        try this.act(then) {} catch {}
        uint64 t = START + later;
        if (!_access.liveDelegation(_grantId, CREDENTIAL, t)) return;
        assert(_access.liveGrant(_grantId, t) && t < end && t < END);
    }

    /// @dev Delegating changes no word of the grant but the count.
    function check_NoDelegationWidensItsGrant(bytes16 credential, uint64 until, uint40 wait)
        external
    {
        vm.warp(uint256(START) + wait);
        IAccessRegistry.Grant memory before = _access.grant(_grantId);
        try _access.delegate(_grantId, credential, until) {} catch {}
        IAccessRegistry.Grant memory g = _access.grant(_grantId);
        before.delegations = g.delegations;
        assert(keccak256(abi.encode(before)) == keccak256(abi.encode(g)));
    }

    /// @dev A delegate speaks with any roles but ADMIN's, in any institution.
    function check_ADelegateCannotDelegate(
        uint16 roles,
        bytes16 inst,
        bytes16 other,
        uint64 until,
        uint40 wait
    ) external {
        _access.delegate(_grantId, CREDENTIAL, END);
        _world.speakAs(CREDENTIAL, inst, roles & ~Roles.ADMIN);
        vm.warp(uint256(START) + wait);
        try _access.delegate(_grantId, other, until) {
            assert(false);
        } catch {}
    }

    function act(uint8 which) external {
        if (which == 0) _access.revoke(_grantId, 1, 0);
        if (which == 1) _access.suspend(_grantId);
        if (which == 2) _access.complete(_grantId);
        if (which == 3) _access.expire(_grantId);
        if (which == 4) _access.endDelegation(_grantId, CREDENTIAL);
    }
}
