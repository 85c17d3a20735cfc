// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {IDatasetCatalog} from "../../contracts/interfaces/IDatasetCatalog.sol";
import {IDeliveryLedger} from "../../contracts/interfaces/IDeliveryLedger.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice The life of a grant.
contract AccessGrantTest is AccessBase {
    function _relayed(string memory act, bytes memory parameters, bool byOwner)
        private
        view
        returns (IModule.Auth memory)
    {
        return _consent(byOwner ? north : south, address(access), "AccessRegistry", act, parameters);
    }

    // ── revoke ──

    function test_RevokeEndsAGrantForGood() public {
        bytes32 grantId = _granted();
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        access.revoke(grantId, 6, REASON);

        vm.startPrank(north.addr);
        _expect(_outOfBounds(0, 1, 8));
        access.revoke(grantId, 0, REASON);
        vm.expectEmit(address(access));
        emit IAccessRegistry.AccessRevoked(grantId, 6, REASON);
        access.revoke(grantId, 6, REASON);
        _grantIs(grantId, IAccessRegistry.Status.Revoked);
        assertFalse(access.liveGrant(grantId, _now()));
        _absorbing(grantId, 5);
    }

    function test_RevokeASuspendedGrant() public {
        bytes32 grantId = _granted();
        vm.startPrank(north.addr);
        access.suspend(grantId);
        access.revoke(grantId, 8, REASON);
        _grantIs(grantId, IAccessRegistry.Status.Revoked);
    }

    function test_RevokeNeedsAGrant() public {
        bytes32 grantId = _requested();
        vm.startPrank(north.addr);
        _expect(_wrongState(grantId, 1, 3));
        access.revoke(grantId, 1, REASON);
        _expect(_unknown(keccak256("none")));
        access.revoke(keccak256("none"), 1, REASON);
    }

    function test_RevokeWhileStoppedAndSuspended() public {
        bytes32 grantId = _granted();
        _stop("AccessRegistry");
        _suspendInstitution(NORTH, _now() + DAY);
        vm.prank(north.addr);
        access.revoke(grantId, 6, REASON);
        _grantIs(grantId, IAccessRegistry.Status.Revoked);
    }

    function test_RevokeIsSignedAndRelayed() public {
        bytes32 grantId = _granted();
        string memory act =
            "Revoke(bytes32 grantId,uint8 reasonCode,bytes32 reasonHash,uint256 nonce,uint64 deadline)";
        assertEq(
            keccak256(bytes(act)),
            0xa84b2ecba8ee68ac3133e6dfdbd2a64f2f38734aa57ba80a57fa7631857687f0,
            "type hash as published"
        );
        IModule.Auth memory auth = _relayed(act, abi.encode(grantId, uint8(6), REASON), true);
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, north.addr));
        access.revokeBySig(grantId, 7, REASON, auth);

        vm.prank(relayer);
        access.revokeBySig(grantId, 6, REASON, auth);
        _grantIs(grantId, IAccessRegistry.Status.Revoked);
    }

    function test_RelayedActsExpireAndCountOnce() public {
        bytes32 grantId = _granted();
        string memory act = "Suspend(bytes32 grantId,uint256 nonce,uint64 deadline)";
        IModule.Auth memory auth = _relayed(act, abi.encode(grantId), true);
        access.suspendBySig(grantId, auth);
        vm.prank(north.addr);
        access.resume(grantId);
        _expect(abi.encodeWithSignature("InvalidAccountNonce(address,uint256)", north.addr, 1));
        access.suspendBySig(grantId, auth);

        auth = _relayed(act, abi.encode(grantId), true);
        vm.warp(auth.deadline + 1);
        _expect(abi.encodeWithSelector(IErrors.IntentExpired.selector, auth.deadline));
        access.suspendBySig(grantId, auth);
    }

    // ── suspend, resume ──

    function test_SuspendAndResume() public {
        bytes32 grantId = _granted();
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        access.suspend(grantId);

        vm.startPrank(north.addr);
        vm.expectEmit(address(access));
        emit IAccessRegistry.AccessSuspended(grantId);
        access.suspend(grantId);
        _grantIs(grantId, IAccessRegistry.Status.Suspended);
        assertFalse(access.liveGrant(grantId, _now()));
        _expect(_wrongState(grantId, 4, 3));
        access.suspend(grantId);
        vm.stopPrank();

        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        access.resume(grantId);
        vm.expectEmit(address(access));
        emit IAccessRegistry.AccessResumed(grantId);
        vm.startPrank(north.addr);
        access.resume(grantId);
        _grantIs(grantId, IAccessRegistry.Status.Granted);
        assertTrue(access.liveGrant(grantId, _now()));
        _expect(_wrongState(grantId, 3, 4));
        access.resume(grantId);
    }

    function test_ResumeNotAfterTheEnd() public {
        bytes32 grantId = _granted();
        vm.startPrank(north.addr);
        access.suspend(grantId);
        uint64 end = access.grant(grantId).validUntil;
        vm.warp(end);
        _expect(_tooLate(end));
        access.resume(grantId);
    }

    function test_ResumeIsSignedAndRelayed() public {
        bytes32 grantId = _granted();
        vm.prank(north.addr);
        access.suspend(grantId);
        access.resumeBySig(
            grantId,
            _relayed(
                "Resume(bytes32 grantId,uint256 nonce,uint64 deadline)", abi.encode(grantId), true
            )
        );
        _grantIs(grantId, IAccessRegistry.Status.Granted);
    }

    // ── complete, expire ──

    function test_CompleteByTheRequester() public {
        bytes32 grantId = _granted();
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        access.complete(grantId);
        vm.expectEmit(address(access));
        emit IAccessRegistry.AccessCompleted(grantId);
        vm.prank(south.addr);
        access.complete(grantId);
        _grantIs(grantId, IAccessRegistry.Status.Completed);
        _absorbing(grantId, 7);
    }

    function test_CompleteIsSignedAndRelayed() public {
        bytes32 grantId = _granted();
        access.completeBySig(
            grantId,
            _relayed(
                "Complete(bytes32 grantId,uint256 nonce,uint64 deadline)",
                abi.encode(grantId),
                false
            )
        );
        _grantIs(grantId, IAccessRegistry.Status.Completed);
    }

    function test_ExpireByAnyoneAfterTheEnd() public {
        bytes32 grantId = _granted();
        uint64 end = access.grant(grantId).validUntil;
        vm.warp(end - 1);
        _expect(_tooEarly(end));
        access.expire(grantId);
        vm.warp(end);
        vm.expectEmit(address(access));
        emit IAccessRegistry.AccessExpired(grantId);
        vm.prank(stranger);
        access.expire(grantId);
        _grantIs(grantId, IAccessRegistry.Status.Expired);
        _absorbing(grantId, 6);
    }

    function test_ExpireNeedsAGrant() public {
        bytes32 grantId = _requested();
        vm.warp(_now() + 200 * DAY);
        _expect(_wrongState(grantId, 1, 3));
        access.expire(grantId);
    }

    // ── liveGrant ──

    function test_LiveOnlyBetweenItsDates() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        r.validFrom = _now() + DAY;
        bytes32 grantId = _ask(r);
        vm.prank(north.addr);
        access.accept(grantId, grantId);
        assertFalse(access.liveGrant(grantId, r.validFrom - 1));
        assertTrue(access.liveGrant(grantId, r.validFrom));
        assertTrue(access.liveGrant(grantId, r.validUntil - 1));
        assertFalse(access.liveGrant(grantId, r.validUntil));
        assertFalse(access.liveGrant(keccak256("none"), r.validFrom));
    }

    function test_LiveOnlyWhileBothAreEffective() public {
        bytes32 grantId = _granted();
        uint64 before = _now();
        vm.warp(_now() + 1);
        _suspendInstitution(NORTH, _now() + DAY);
        assertFalse(access.liveGrant(grantId, _now()), "owner suspended");
        assertTrue(access.liveGrant(grantId, before), "it was live before");
        vm.warp(_now() + DAY);
        assertTrue(access.liveGrant(grantId, _now()), "suspension over");
        vm.prank(south.addr);
        institutions.leaveNetwork(SOUTH);
        assertFalse(access.liveGrant(grantId, _now()), "requester left");
    }

    /// @dev A state without an outgoing arrow refuses every act, whoever tries.
    function _absorbing(bytes32 grantId, uint8 state) private {
        vm.stopPrank();
        vm.warp(access.grant(grantId).validUntil);
        vm.startPrank(north.addr);
        _expect(_wrongState(grantId, state, 3));
        access.revoke(grantId, 1, REASON);
        _expect(_wrongState(grantId, state, 3));
        access.suspend(grantId);
        _expect(_wrongState(grantId, state, 4));
        access.resume(grantId);
        _expect(_wrongState(grantId, state, 1));
        access.refuse(grantId, 1, REASON);
        _expect(_wrongState(grantId, state, 1));
        access.accept(grantId, grantId);
        vm.stopPrank();
        vm.startPrank(south.addr);
        _expect(_wrongState(grantId, state, 3));
        access.complete(grantId);
        _expect(_wrongState(grantId, state, 1));
        access.withdrawRequest(grantId);
        vm.stopPrank();
        _expect(_wrongState(grantId, state, 3));
        access.expire(grantId);
        _expect(_wrongState(grantId, state, 1));
        access.lapse(grantId);
    }
}

/// @notice The published ids (contracts.md section 5): chain 1337, genesis addresses.
contract AccessVectorTest is AccessBase {
    address private constant ACCESS = 0x4D534e4554000000000000000000000000000301;
    address private constant LEDGER = 0x4d534e4554000000000000000000000000000302;
    bytes16 private constant REQUESTER = 0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;
    bytes16 private constant OWNER = 0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb;
    bytes16 private constant DATA = 0xdddddddddddddddddddddddddddddddd;

    function setUp() public override {
        vm.chainId(1337);
        super.setUp();
        _replace("AccessRegistry", ACCESS);
        _replace("DeliveryLedger", LEDGER);
        access = IAccessRegistry(ACCESS);
    }

    function _replace(bytes32 name, address target) private {
        string memory artefact = string.concat(_text(name), ".sol:", _text(name));
        deployCodeTo(artefact, abi.encode(manager, directory), target);
        vm.prank(admin);
        directory.set(name, target);
    }

    /// @dev The two institutions of the vector: effective, and spoken for by south and north. Quota
    /// and score do not enter into ids.
    function _stage() private {
        // The published request is older than the network of the other tests.
        vm.warp(1_799_600_000);
        vm.mockCall(address(incentives), abi.encodePacked(incentives.consume.selector), "");
        vm.mockCall(address(credibility), abi.encodePacked(credibility.record.selector), "");
        _stageOne(REQUESTER, south.addr);
        _stageOne(OWNER, north.addr);
        vm.mockCall(
            address(catalog),
            abi.encodeCall(catalog.conditions, (DATA)),
            abi.encode(OWNER, uint32(0x40400), Codes.DELIVER, IDatasetCatalog.Status.Live)
        );
    }

    function _stageOne(bytes16 inst, address account) private {
        vm.mockCall(address(keys), abi.encodeCall(keys.subjectOf, (account)), abi.encode(inst));
        vm.mockCall(
            address(institutions),
            abi.encodeWithSelector(IInstitutionRegistry.mayAct.selector, inst, inst),
            abi.encode(true)
        );
        vm.mockCall(
            address(institutions), abi.encodeCall(institutions.isActive, (inst)), abi.encode(true)
        );
        vm.mockCall(
            address(institutions),
            abi.encodeWithSelector(IInstitutionRegistry.isActiveAt.selector, inst),
            abi.encode(true)
        );
    }

    function test_PublishedGrantAndDelivery() public {
        assertEq(
            _domain(ACCESS, "AccessRegistry"),
            0x72ab23ea3daa50d95ce8f68878170e6e5af4fb986f52815b6c2e8134e014c75a,
            "domain separator"
        );
        _stage();
        IAccessRegistry.AccessRequest memory r = IAccessRegistry.AccessRequest({
            requester: REQUESTER,
            owner: OWNER,
            dataset: DATA,
            purpose: 5,
            duo: 0x40400,
            mode: 1,
            validFrom: 1_800_000_000,
            validUntil: 1_831_536_000,
            answerBy: 1_799_700_000,
            deliverWithin: 259_200,
            scopeHash: bytes32(uint256(1) * (type(uint256).max / 255)),
            termsHash: bytes32(uint256(2) * (type(uint256).max / 255)),
            renews: 0,
            salt: bytes32(uint256(3) * (type(uint256).max / 255))
        });
        vm.prank(south.addr);
        bytes32 grantId = access.request(r);
        assertEq(
            grantId, 0x5b517b5d47d7aa6bc3a04d379bc0d542a07c858831858c79dbc57885d06f99fc, "grant"
        );

        vm.prank(north.addr);
        access.accept(grantId, grantId);
        vm.warp(r.validFrom);
        _offerPublished(grantId);
    }

    /// @dev The delivery of seq 1, under the id and the offer hash that protocol.md publishes.
    function _offerPublished(bytes32 grantId) private {
        bytes32 deliveryId = 0x986a9c9141218c3f732190866fc1fc123cfc938a66195a7a9f1c24d9517210c3;
        bytes32 offerHash = 0xa994e015dd6f27014e573d9cb535bb028527357477244de3f78825d0a9defc43;
        ledger = IDeliveryLedger(LEDGER);
        vm.prank(north.addr);
        ledger.offer(grantId, 1, offerHash, 1_800_259_300, 86_400, 259_200);
        assertEq(ledger.delivery(deliveryId).offerHash, offerHash, "delivery");
    }
}
