// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IDataHubRegistry} from "../../contracts/interfaces/IDataHubRegistry.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice A hub of one person, sponsored by the north, and what services offer it.
/// @dev A forge test is one transaction, and the registry remembers the hub that a transaction acts
/// for. `_nextTransaction` makes it forget.
contract DataHubRegistryTest is AccessBase {
    bytes16 private constant HUB = bytes16(keccak256("hub"));
    bytes16 private constant OTHER = bytes16(keccak256("other hub"));
    bytes32 private constant POLICY = keccak256("policy");
    string private constant OPENING_TYPE =
        "HubOpening(bytes16 hub,bytes16 sponsor,address account,bytes32 policyCommit,bytes32 salt)";
    string private constant OFFER_TYPE =
        "ServiceOffer(bytes16 service,uint16 purpose,uint8 sensitivity,bytes32 algId,bytes32 termsHash,uint64 validUntil,bytes32 salt)";

    IDataHubRegistry private _hubs;
    Vm.Wallet private _person;

    function setUp() public override {
        super.setUp();
        _hubs = IDataHubRegistry(_at(Codes.DATA_HUB_REGISTRY));
        _person = vm.createWallet("person");
    }

    // ── helpers ──

    /// @dev Sets the transient slots of the registry to zero, as the end of a transaction does.
    function _nextTransaction() private {
        bytes memory code = address(_hubs).code;
        // PUSH0 PUSH0 TSTORE STOP
        vm.etch(address(_hubs), hex"5f5f5d00");
        (bool done,) = address(_hubs).call("");
        assertTrue(done);
        vm.etch(address(_hubs), code);
    }

    function _opening(bytes16 id, address account)
        private
        pure
        returns (IDataHubRegistry.HubOpening memory)
    {
        return IDataHubRegistry.HubOpening(id, NORTH, account, POLICY, keccak256("salt"));
    }

    function _openingDigest(IDataHubRegistry.HubOpening memory o) private view returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(keccak256(bytes(OPENING_TYPE)), o));
        return _digest(address(_hubs), "DataHubRegistry", structHash);
    }

    function _open(bytes16 id, Vm.Wallet memory person) private {
        IDataHubRegistry.HubOpening memory o = _opening(id, person.addr);
        bytes memory accountSig = _sign(person, _openingDigest(o));
        vm.prank(north.addr);
        _hubs.openHub(o, accountSig);
        _nextTransaction();
    }

    function _opened() private {
        _open(HUB, _person);
    }

    /// @dev An opening that must fail.
    function _refused(IDataHubRegistry.HubOpening memory o, bytes memory why) private {
        bytes memory accountSig = _sign(_person, _openingDigest(o));
        _expect(why);
        vm.prank(north.addr);
        _hubs.openHub(o, accountSig);
    }

    function _act(Vm.Wallet memory by, string memory act, bytes memory parameters)
        private
        view
        returns (IModule.Auth memory)
    {
        return _consent(by, address(_hubs), "DataHubRegistry", act, parameters);
    }

    function _hubIs(bytes16 id, IDataHubRegistry.HubStatus status) private view {
        assertEq(uint8(_hubs.hub(id).status), uint8(status), "hub's status");
    }

    function _offer() private view returns (IDataHubRegistry.ServiceOffer memory) {
        return IDataHubRegistry.ServiceOffer({
            service: SOUTH,
            purpose: 5,
            sensitivity: 2,
            algId: keccak256("algorithm"),
            termsHash: TERMS,
            validUntil: _now() + 100 * DAY,
            salt: keccak256("offer")
        });
    }

    function _offerId(IDataHubRegistry.ServiceOffer memory o) private view returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(keccak256(bytes(OFFER_TYPE)), o));
        return _digest(address(_hubs), "DataHubRegistry", structHash);
    }

    function _publish(IDataHubRegistry.ServiceOffer memory o) private returns (bytes32) {
        vm.prank(south.addr);
        return _hubs.publishOffer(o);
    }

    function _offerRefused(IDataHubRegistry.ServiceOffer memory o, bytes memory why) private {
        _expect(why);
        _publish(o);
    }

    // ── openHub ──

    function test_OpenHubIsStoredAnnouncedAndSpokenFor() public {
        IDataHubRegistry.HubOpening memory o = _opening(HUB, _person.addr);
        bytes memory accountSig = _sign(_person, _openingDigest(o));
        vm.expectEmit(address(_hubs));
        emit IDataHubRegistry.HubOpened(HUB, NORTH, _person.addr, POLICY);
        vm.prank(north.addr);
        _hubs.openHub(o, accountSig);

        IDataHubRegistry.Hub memory h = _hubs.hub(HUB);
        assertEq(h.sponsor, NORTH);
        assertEq(uint8(h.status), uint8(IDataHubRegistry.HubStatus.Open));
        assertEq(h.openedAt, _now());
        assertEq(h.closedAt, 0);
        assertEq(h.policyCommit, POLICY);
        assertEq(keys.subjectOf(_person.addr), HUB, "first key bound");
        assertTrue(_hubs.speaksFor(_person.addr, HUB));
        assertFalse(_hubs.speaksFor(north.addr, HUB), "the sponsor does not speak for it");
        assertFalse(_hubs.speaksFor(_person.addr, OTHER));
    }

    function test_OpenHubIsSignedAndRelayed() public {
        IDataHubRegistry.HubOpening memory o = _opening(HUB, _person.addr);
        bytes memory accountSig = _sign(_person, _openingDigest(o));
        bytes memory signature = _sign(north, _openingDigest(o));
        _expect(_badSignature(north.addr));
        _hubs.openHubBySig(o, accountSig, north.addr, accountSig);
        vm.prank(relayer);
        _hubs.openHubBySig(o, accountSig, north.addr, signature);
        _hubIs(HUB, IDataHubRegistry.HubStatus.Open);
        _expect(_exists(HUB));
        _hubs.openHubBySig(o, accountSig, north.addr, signature);
    }

    function test_OpenHubNeedsAnOfficerOfTheSponsor() public {
        IDataHubRegistry.HubOpening memory o = _opening(HUB, _person.addr);
        bytes memory accountSig = _sign(_person, _openingDigest(o));
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        _hubs.openHub(o, accountSig);
        (, Vm.Wallet memory steward) = _staff(north, NORTH, "steward", Roles.STEWARD);
        _expect(_notParty(NORTH, steward.addr));
        vm.prank(steward.addr);
        _hubs.openHub(o, accountSig);
        (, Vm.Wallet memory officer) = _staff(north, NORTH, "officer", Roles.OFFICER);
        vm.prank(officer.addr);
        _hubs.openHub(o, accountSig);
    }

    function test_OpenHubNeedsTheAccountsOwnSignature() public {
        IDataHubRegistry.HubOpening memory o = _opening(HUB, _person.addr);
        bytes memory accountSig = _sign(south, _openingDigest(o));
        _expect(_badSignature(_person.addr));
        vm.prank(north.addr);
        _hubs.openHub(o, accountSig);
    }

    function test_OpenHubIsAnOpeningAct() public {
        _stop("DataHubRegistry");
        _refused(_opening(HUB, _person.addr), _stopped("DataHubRegistry", _now() + DAY));
        vm.warp(_now() + DAY);
        _suspendInstitution(NORTH, _now() + DAY);
        _refused(_opening(HUB, _person.addr), _notActive(NORTH, 5));
    }

    function test_OpenHubRefusesATakenId() public {
        _refused(_opening(0, _person.addr), _exists(0));
        _refused(_opening(SOUTH, _person.addr), _exists(SOUTH));
        (bytes16 cred,) = _staff(north, NORTH, "clerk", Roles.OFFICER);
        _refused(_opening(cred, _person.addr), _exists(cred));
        _opened();
        _refused(_opening(HUB, _person.addr), _exists(HUB));
    }

    function test_OpenHubRefusesAUsedAccount() public {
        _opened();
        _refused(_opening(OTHER, _person.addr), _exists(_keyId(_person.addr)));
    }

    function test_NoCredentialTakesAHubsId() public {
        _opened();
        _expect(_exists(HUB));
        vm.prank(south.addr);
        institutions.addPractitioner(SOUTH, HUB, Roles.ADMIN, _now() + DAY);
    }

    function test_NobodyButTheHubKeepsItsKeys() public {
        _opened();
        _expect(_notParty(HUB, north.addr));
        vm.prank(north.addr);
        keys.addKey(HUB, Codes.SEAL, abi.encode(keccak256("seal")), _now(), _now() + DAY, "");
        vm.prank(_person.addr);
        keys.addKey(HUB, Codes.SEAL, abi.encode(keccak256("seal")), _now(), _now() + DAY, "");
        assertEq(keys.keysOf(HUB, Codes.SEAL).length, 1);
    }

    // ── one facet a transaction ──

    function test_NoTransactionActsForTwoHubs() public {
        _opened();
        Vm.Wallet memory second = vm.createWallet("second person");
        _open(OTHER, second);
        vm.prank(_person.addr);
        _hubs.setPolicy(HUB, keccak256("one"));
        vm.prank(_person.addr);
        _hubs.setPolicy(HUB, keccak256("two"));

        bytes memory why = abi.encodeWithSelector(IDataHubRegistry.TwoFacets.selector, HUB, OTHER);
        vm.startPrank(second.addr);
        _expect(why);
        _hubs.setPolicy(OTHER, POLICY);
        _expect(why);
        _hubs.closeHub(OTHER);
        _expect(why);
        _hubs.allowMove(OTHER, SOUTH);
        vm.stopPrank();
        _refused(
            _opening("third", _person.addr),
            abi.encodeWithSelector(IDataHubRegistry.TwoFacets.selector, HUB, bytes16("third"))
        );
        _nextTransaction();
        vm.prank(second.addr);
        _hubs.allowMove(OTHER, SOUTH);
        _nextTransaction();

        vm.prank(_person.addr);
        _hubs.setPolicy(HUB, POLICY);
        _expect(why);
        vm.prank(south.addr);
        _hubs.moveHub(OTHER, SOUTH);
    }

    // ── setPolicy ──

    function test_SetPolicyReplacesTheCommitment() public {
        _opened();
        vm.expectEmit(address(_hubs));
        emit IDataHubRegistry.HubPolicySet(HUB, keccak256("stricter"));
        vm.prank(_person.addr);
        _hubs.setPolicy(HUB, keccak256("stricter"));
        assertEq(_hubs.hub(HUB).policyCommit, keccak256("stricter"));
    }

    function test_SetPolicyIsTheHubsAlone() public {
        _expect(_unknown(HUB));
        vm.prank(_person.addr);
        _hubs.setPolicy(HUB, 0);
        _opened();
        _expect(_notParty(HUB, north.addr));
        vm.prank(north.addr);
        _hubs.setPolicy(HUB, 0);
    }

    function test_SetPolicyIsSignedAndRelayed() public {
        _opened();
        IModule.Auth memory auth = _act(
            _person,
            "SetPolicy(bytes16 id,bytes32 policyCommit,uint256 nonce,uint64 deadline)",
            abi.encode(HUB, keccak256("x"))
        );
        _expect(_badSignature(_person.addr));
        _hubs.setPolicyBySig(HUB, keccak256("y"), auth);
        vm.prank(relayer);
        _hubs.setPolicyBySig(HUB, keccak256("x"), auth);
        assertEq(_hubs.hub(HUB).policyCommit, keccak256("x"));
    }

    // ── closeHub ──

    function test_CloseHubIsFinal() public {
        _opened();
        vm.warp(_now() + DAY);
        vm.expectEmit(address(_hubs));
        emit IDataHubRegistry.HubClosed(HUB);
        vm.startPrank(_person.addr);
        _hubs.closeHub(HUB);
        _hubIs(HUB, IDataHubRegistry.HubStatus.Closed);
        assertEq(_hubs.hub(HUB).closedAt, _now());
        assertFalse(_hubs.speaksFor(_person.addr, HUB));
        _expect(_wrongState(HUB, 2, 1));
        _hubs.closeHub(HUB);
        _expect(_wrongState(HUB, 2, 1));
        _hubs.setPolicy(HUB, POLICY);
        _expect(_wrongState(HUB, 2, 1));
        _hubs.allowMove(HUB, SOUTH);
        vm.stopPrank();
        _expect(_wrongState(HUB, 2, 1));
        vm.prank(south.addr);
        _hubs.moveHub(HUB, SOUTH);
        _refused(_opening(HUB, _person.addr), _exists(HUB));
    }

    function test_CloseHubIsTheHubsAlone() public {
        _opened();
        _expect(_notParty(HUB, stranger));
        vm.prank(stranger);
        _hubs.closeHub(HUB);
    }

    function test_CloseHubIsSignedAndRelayed() public {
        _opened();
        _hubs.closeHubBySig(
            HUB,
            _act(_person, "CloseHub(bytes16 id,uint256 nonce,uint64 deadline)", abi.encode(HUB))
        );
        _hubIs(HUB, IDataHubRegistry.HubStatus.Closed);
    }

    // ── moveHub ──

    function test_AHubMovesToWhomItAllowed() public {
        _opened();
        vm.expectEmit(address(_hubs));
        emit IDataHubRegistry.HubMoveAllowed(HUB, SOUTH);
        vm.prank(_person.addr);
        _hubs.allowMove(HUB, SOUTH);
        assertEq(_hubs.moveAllowed(HUB), SOUTH);
        vm.expectEmit(address(_hubs));
        emit IDataHubRegistry.HubMoved(HUB, SOUTH);
        vm.prank(south.addr);
        _hubs.moveHub(HUB, SOUTH);
        assertEq(_hubs.hub(HUB).sponsor, SOUTH);
        assertEq(_hubs.moveAllowed(HUB), 0, "used up");
    }

    // ── allowMove ──

    function test_AllowMoveRefusals() public {
        _opened();
        _expect(_notParty(HUB, north.addr));
        vm.prank(north.addr);
        _hubs.allowMove(HUB, SOUTH);
        vm.startPrank(_person.addr);
        _expect(_exists(NORTH));
        _hubs.allowMove(HUB, NORTH);
        _expect(_notActive("nobody", 0));
        _hubs.allowMove(HUB, "nobody");
        _hubs.allowMove(HUB, SOUTH);
        _hubs.allowMove(HUB, 0);
        assertEq(_hubs.moveAllowed(HUB), 0, "taken back");
    }

    // ── moveHub ──

    function test_MoveHubRefusals() public {
        _opened();
        bytes memory why =
            abi.encodeWithSelector(IDataHubRegistry.MoveNotAllowed.selector, HUB, SOUTH);
        _expect(why);
        vm.prank(south.addr);
        _hubs.moveHub(HUB, SOUTH);
        vm.prank(_person.addr);
        _hubs.allowMove(HUB, INSPECTORATE);
        _expect(why);
        vm.prank(south.addr);
        _hubs.moveHub(HUB, SOUTH);
        _expect(_notParty(INSPECTORATE, south.addr));
        vm.prank(south.addr);
        _hubs.moveHub(HUB, INSPECTORATE);
        _expect(_unknown(OTHER));
        vm.prank(south.addr);
        _hubs.moveHub(OTHER, SOUTH);
        _suspendInstitution(INSPECTORATE, _now() + DAY);
        _expect(_notActive(INSPECTORATE, 5));
        vm.prank(inspectorate.addr);
        _hubs.moveHub(HUB, INSPECTORATE);
        vm.warp(_now() + DAY);
        _stop("DataHubRegistry");
        _expect(_stopped("DataHubRegistry", _now() + DAY));
        vm.prank(inspectorate.addr);
        _hubs.moveHub(HUB, INSPECTORATE);
    }

    function test_MovesAreSignedAndRelayed() public {
        _opened();
        _hubs.allowMoveBySig(
            HUB,
            SOUTH,
            _act(
                _person,
                "AllowMove(bytes16 id,bytes16 newSponsor,uint256 nonce,uint64 deadline)",
                abi.encode(HUB, SOUTH)
            )
        );
        _hubs.moveHubBySig(
            HUB,
            SOUTH,
            _act(
                south,
                "MoveHub(bytes16 id,bytes16 newSponsor,uint256 nonce,uint64 deadline)",
                abi.encode(HUB, SOUTH)
            )
        );
        assertEq(_hubs.hub(HUB).sponsor, SOUTH);
    }

    // ── publishOffer ──

    function test_PublishOfferIsStoredAndAnnounced() public {
        IDataHubRegistry.ServiceOffer memory o = _offer();
        bytes32 id = _offerId(o);
        vm.expectEmit(address(_hubs));
        emit IDataHubRegistry.OfferPublished(id, SOUTH, 5, 2, o.algId, TERMS, o.validUntil);
        assertEq(_publish(o), id, "the id is the digest");
        IDataHubRegistry.Offer memory kept = _hubs.serviceOffer(id);
        assertEq(kept.service, SOUTH);
        assertEq(kept.purpose, 5);
        assertEq(kept.sensitivity, 2);
        assertEq(uint8(kept.status), 1);
        assertEq(kept.validUntil, o.validUntil);
        assertEq(kept.algId, o.algId);
        assertEq(kept.termsHash, TERMS);
        assertTrue(_hubs.isOffered(id, o.validUntil - 1));
        assertFalse(_hubs.isOffered(id, o.validUntil));
        assertFalse(_hubs.isOffered(keccak256("none"), 0));
        _offerRefused(o, _exists(id));
    }

    function test_PublishOfferIsSignedAndRelayed() public {
        IDataHubRegistry.ServiceOffer memory o = _offer();
        bytes memory signature = _sign(south, _offerId(o));
        _expect(_badSignature(north.addr));
        _hubs.publishOfferBySig(o, north.addr, signature);
        vm.prank(relayer);
        assertEq(_hubs.publishOfferBySig(o, south.addr, signature), _offerId(o));
        assertTrue(_hubs.isOffered(_offerId(o), _now()));
    }

    function test_PublishOfferNeedsAStewardOfAnEffectiveService() public {
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        _hubs.publishOffer(_offer());
        _stop("DataHubRegistry");
        _offerRefused(_offer(), _stopped("DataHubRegistry", _now() + DAY));
        vm.warp(_now() + DAY);
        _suspendInstitution(SOUTH, _now() + DAY);
        _offerRefused(_offer(), _notActive(SOUTH, 5));
    }

    function test_PublishOfferHasBounds() public {
        uint16[4] memory wrong = [uint16(0), 13, 0x8000, 0x8005];
        for (uint256 i = 0; i < wrong.length; ++i) {
            IDataHubRegistry.ServiceOffer memory bad = _offer();
            bad.purpose = wrong[i];
            _offerRefused(
                bad, abi.encodeWithSelector(IDataHubRegistry.ForbiddenPurpose.selector, wrong[i])
            );
        }
        IDataHubRegistry.ServiceOffer memory o = _offer();
        o.sensitivity = 0;
        _offerRefused(o, _outOfBounds(0, 1, 3));
        o.sensitivity = 4;
        _offerRefused(o, _outOfBounds(4, 1, 3));
        o.sensitivity = 3;
        uint64 max = _now() + 730 * DAY;
        o.validUntil = _now();
        _offerRefused(o, _outOfBounds(_now(), _now() + 1, max));
        o.validUntil = max + 1;
        _offerRefused(o, _outOfBounds(max + 1, _now() + 1, max));
        o.validUntil = max;
        _publish(o);
    }

    // ── retireOffer ──

    function test_RetireOfferIsFinal() public {
        bytes32 id = _publish(_offer());
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        _hubs.retireOffer(id);
        vm.startPrank(south.addr);
        _expect(_unknown(keccak256("none")));
        _hubs.retireOffer(keccak256("none"));
        vm.expectEmit(address(_hubs));
        emit IDataHubRegistry.OfferRetired(id);
        _hubs.retireOffer(id);
        assertEq(uint8(_hubs.serviceOffer(id).status), 2);
        assertFalse(_hubs.isOffered(id, _now()));
        _expect(_wrongState(id, 2, 1));
        _hubs.retireOffer(id);
    }

    function test_RetireOfferIsSignedAndRelayed() public {
        bytes32 id = _publish(_offer());
        _hubs.retireOfferBySig(
            id,
            _act(
                south, "RetireOffer(bytes32 offerId,uint256 nonce,uint64 deadline)", abi.encode(id)
            )
        );
        assertFalse(_hubs.isOffered(id, _now()));
    }
}
