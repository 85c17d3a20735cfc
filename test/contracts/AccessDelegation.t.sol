// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice The south names one of its staff who may use a grant.
contract AccessDelegationTest is AccessBase {
    bytes32 private _grantId;
    uint64 private _end;
    bytes16 private _cred;
    Vm.Wallet private _delegate;

    function setUp() public override {
        super.setUp();
        (_cred, _delegate) = _staff(south, SOUTH, "delegate", Roles.CLINICIAN);
        _grantId = _granted();
        _end = access.grant(_grantId).validUntil;
    }

    function _name(bytes16 credential, uint64 until) private {
        vm.prank(south.addr);
        access.delegate(_grantId, credential, until);
    }

    function _refused(bytes16 credential, uint64 until, bytes memory why) private {
        _expect(why);
        _name(credential, until);
    }

    // ── delegate ──

    function test_ADelegateMayUseTheGrantForATime() public {
        uint64 until = _now() + 10 * DAY;
        vm.expectEmit(address(access));
        emit IAccessRegistry.Delegated(_grantId, _cred, until);
        _name(_cred, until);
        assertEq(access.delegationUntil(_grantId, _cred), until);
        assertEq(access.grant(_grantId).delegations, 1);
        assertTrue(access.liveDelegation(_grantId, _cred, _now()));
        assertTrue(access.liveDelegation(_grantId, _cred, until - 1));
        assertFalse(access.liveDelegation(_grantId, _cred, until));
        assertFalse(access.liveDelegation(_grantId, SOUTH, _now()));
    }

    function test_ADelegationIsMovedByNamingAgain() public {
        _name(_cred, _now() + DAY);
        _name(_cred, _now() + 2 * DAY);
        assertEq(access.delegationUntil(_grantId, _cred), _now() + 2 * DAY);
        assertEq(access.grant(_grantId).delegations, 1, "still one");
    }

    function test_DelegateIsTheRequestersAdmins() public {
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        access.delegate(_grantId, _cred, _end);
        _name(_cred, _end);
        _expect(_notParty(SOUTH, _delegate.addr));
        vm.prank(_delegate.addr);
        access.delegate(_grantId, _cred, _end);
    }

    function test_DelegateNeedsALiveGrant() public {
        _expect(_unknown(keccak256("none")));
        vm.prank(south.addr);
        access.delegate(keccak256("none"), _cred, _end);
        vm.prank(north.addr);
        access.suspend(_grantId);
        _refused(_cred, _end, abi.encodeWithSelector(IAccessRegistry.NotLive.selector, _grantId));
    }

    function test_DelegateIsLiveStaffOfTheRequester() public {
        (bytes16 foreign,) = _staff(north, NORTH, "foreign", Roles.RESEARCHER);
        _refused(foreign, _end, _unknown(foreign));
        _refused("nobody", _end, _unknown("nobody"));
        _refused(SOUTH, _end, _unknown(SOUTH));
        vm.prank(south.addr);
        institutions.endPractitioner(_cred);
        _refused(_cred, _end, _unknown(_cred));
    }

    function test_DelegationNeverOutlivesItsGrant() public {
        _refused(
            _cred,
            _end + 1,
            abi.encodeWithSelector(IAccessRegistry.DelegationTooWide.selector, _end + 1, _end)
        );
        _refused(_cred, _now(), _outOfBounds(_now(), _now() + 1, _end));
        _name(_cred, _end);
    }

    function test_AGrantHasSixtyFourDelegations() public {
        bytes16 first;
        for (uint256 i = 0; i < 64; ++i) {
            bytes16 cred = bytes16(keccak256(abi.encode("delegate", i)));
            if (i == 0) first = cred;
            vm.prank(south.addr);
            institutions.addPractitioner(SOUTH, cred, Roles.CLINICIAN, _now() + 300 * DAY);
            _name(cred, _end);
        }
        _refused(_cred, _end, _outOfBounds(65, 1, 64));
        _name(first, _end - 1);
        vm.prank(south.addr);
        access.endDelegation(_grantId, first);
        _name(_cred, _end);
    }

    function test_DelegateIsSignedAndRelayed() public {
        IModule.Auth memory auth = _consent(
            south,
            address(access),
            "AccessRegistry",
            "Delegate(bytes32 grantId,bytes16 credential,uint64 until,uint256 nonce,uint64 deadline)",
            abi.encode(_grantId, _cred, _end)
        );
        _expect(_badSignature(south.addr));
        access.delegateBySig(_grantId, _cred, _end - 1, auth);
        vm.prank(relayer);
        access.delegateBySig(_grantId, _cred, _end, auth);
        assertEq(access.delegationUntil(_grantId, _cred), _end);
    }

    // ── endDelegation ──

    function test_EndByTheRequesterOrTheDelegate() public {
        _name(_cred, _end);
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        access.endDelegation(_grantId, _cred);
        vm.expectEmit(address(access));
        emit IAccessRegistry.DelegationEnded(_grantId, _cred);
        vm.prank(_delegate.addr);
        access.endDelegation(_grantId, _cred);
        assertEq(access.delegationUntil(_grantId, _cred), 0);
        assertEq(access.grant(_grantId).delegations, 0);
        assertFalse(access.liveDelegation(_grantId, _cred, _now()));
        _name(_cred, _end);
        vm.prank(south.addr);
        access.endDelegation(_grantId, _cred);
        _expect(_unknown(_cred));
        vm.prank(south.addr);
        access.endDelegation(_grantId, _cred);
        _expect(_unknown(keccak256("none")));
        vm.prank(south.addr);
        access.endDelegation(keccak256("none"), _cred);
    }

    function test_EndIsPossibleWhileStoppedAndAfterTheGrant() public {
        _name(_cred, _end);
        _stop("AccessRegistry");
        vm.prank(north.addr);
        access.revoke(_grantId, 8, REASON);
        vm.prank(south.addr);
        access.endDelegation(_grantId, _cred);
        assertEq(access.grant(_grantId).delegations, 0);
    }

    function test_EndIsSignedAndRelayed() public {
        _name(_cred, _end);
        IModule.Auth memory auth = _consent(
            _delegate,
            address(access),
            "AccessRegistry",
            "EndDelegation(bytes32 grantId,bytes16 credential,uint256 nonce,uint64 deadline)",
            abi.encode(_grantId, _cred)
        );
        access.endDelegationBySig(_grantId, _cred, auth);
        assertEq(access.delegationUntil(_grantId, _cred), 0);
    }

    // ── liveDelegation ──

    function test_ADelegationEndsWithGrantStaffAndInstitution() public {
        _name(_cred, _end);
        uint64 term = institutions.practitioner(_cred).until;
        assertTrue(access.liveDelegation(_grantId, _cred, term - 1));
        assertFalse(access.liveDelegation(_grantId, _cred, term), "credential over");
        _suspendInstitution(SOUTH, _now() + DAY);
        assertFalse(access.liveDelegation(_grantId, _cred, _now()), "institution suspended");
        vm.warp(_now() + DAY);
        assertTrue(access.liveDelegation(_grantId, _cred, _now()));
        vm.prank(north.addr);
        access.suspend(_grantId);
        assertFalse(access.liveDelegation(_grantId, _cred, _now()), "grant held");
        vm.prank(north.addr);
        access.resume(_grantId);
        vm.prank(south.addr);
        institutions.endPractitioner(_cred);
        assertFalse(access.liveDelegation(_grantId, _cred, _now()), "credential ended");
    }

    // ── what CareRegistry answers ──

    function test_IdsOfTheCareLaneAreAnsweredToo() public {
        vm.mockCall(
            _at("CareRegistry"),
            abi.encodeCall(access.partiesOf, (keccak256("care"))),
            abi.encode(NORTH, SOUTH)
        );
        vm.mockCall(
            _at("CareRegistry"),
            abi.encodeCall(access.faultOf, (keccak256("care"))),
            abi.encode(uint8(10), uint8(2))
        );
        (bytes16 owner, bytes16 requester) = access.partiesOf(keccak256("care"));
        assertEq(owner, NORTH);
        assertEq(requester, SOUTH);
        (uint8 code, uint8 side) = access.faultOf(keccak256("care"));
        assertEq(code, 10);
        assertEq(side, 2);
        (owner, requester) = ledger.partiesOf(keccak256("care"));
        assertEq(owner, NORTH, "through the ledger too");
    }
}
