// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Vm} from "forge-std/Vm.sol";

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IKeyRegistry} from "../../contracts/interfaces/IKeyRegistry.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Base} from "./Base.t.sol";

contract KeyRegistryTest is Base {
    uint64 private constant YEAR = 365 * DAY;
    bytes private constant SEAL_KEY = abi.encodePacked(keccak256("seal"));

    Vm.Wallet private _second;

    function setUp() public override {
        super.setUp();
        _second = vm.createWallet("second");
    }

    function _sealId() private pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(2), SEAL_KEY));
    }

    function _addSeal() private {
        vm.prank(north.addr);
        keys.addKey(NORTH, Codes.SEAL, SEAL_KEY, START, START + YEAR, "proof");
    }

    function _last(bytes16 subject) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IKeyRegistry.LastAccount.selector, subject);
    }

    function _backdated(uint64 time) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IKeyRegistry.Backdated.selector, time);
    }

    // ── bindFirst ──

    function test_AFoundersAccountHasNoEndOfItsOwn() public view {
        IKeyRegistry.Key memory k = keys.key(_keyId(north.addr));
        assertEq(k.subject, NORTH);
        assertEq(k.kind, 1);
        assertEq(k.from, START);
        assertEq(k.until, type(uint40).max);
        assertTrue(keys.validAt(_keyId(north.addr), START + 100 * YEAR));
        assertFalse(keys.validAt(_keyId(north.addr), START - 1));
    }

    function test_BindFirstIsTheRegistrars() public {
        _expect(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, admin));
        vm.prank(admin);
        keys.bindFirst("new", stranger);
        vm.startPrank(address(institutions));
        _expect(_exists(NORTH));
        keys.bindFirst(NORTH, stranger);
        _expect(_exists(_keyId(north.addr)));
        keys.bindFirst("new", north.addr);
        _expect(_unknown(0));
        keys.bindFirst("new", address(0));
    }

    // ── addKey ──

    function test_AddKeyTellsTheKeyAndItsProof() public {
        vm.expectEmit(address(keys));
        emit IKeyRegistry.KeyAdded(_sealId(), NORTH, 2, START, START + YEAR, SEAL_KEY, "proof");
        _addSeal();
        assertTrue(keys.validAt(_sealId(), START));
        assertFalse(keys.validAt(_sealId(), START + YEAR));
        _expect(_exists(_sealId()));
        _addSeal();
    }

    function test_AnAccountIsBoundByItsOwnSignature() public {
        _bindAccount(north.addr, NORTH, _second);
        assertEq(keys.subjectOf(_second.addr), NORTH);

        Vm.Wallet memory third = vm.createWallet("third");
        bytes memory proof = _binding(NORTH, _second, START, START + YEAR);
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, third.addr));
        vm.prank(north.addr);
        keys.addKey(NORTH, 1, abi.encodePacked(third.addr), START, START + YEAR, proof);

        proof = _binding(SOUTH, third, START, START + YEAR);
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, third.addr));
        vm.prank(north.addr);
        keys.addKey(NORTH, 1, abi.encodePacked(third.addr), START, START + YEAR, proof);
    }

    function test_AKeyNeverStartsInThePastNorLastsTooLong() public {
        vm.startPrank(north.addr);
        _expect(_backdated(START - 1));
        keys.addKey(NORTH, 2, SEAL_KEY, START - 1, START + YEAR, "");
        uint64 max = START + 1095 * DAY;
        _expect(_outOfBounds(START, START + 1, max));
        keys.addKey(NORTH, 2, SEAL_KEY, START, START, "");
        _expect(_outOfBounds(max + 1, START + 1, max));
        keys.addKey(NORTH, 2, SEAL_KEY, START, max + 1, "");
        _expect(_outOfBounds(type(uint64).max, 0, type(uint40).max));
        keys.addKey(NORTH, 2, SEAL_KEY, START, type(uint64).max, "");
        keys.addKey(NORTH, 2, SEAL_KEY, START, max, "");
    }

    function test_EachKindHasItsLength() public {
        vm.startPrank(north.addr);
        uint8[5] memory lengths = [20, 32, 32, 33, 32];
        for (uint8 kind = 1; kind <= 5; ++kind) {
            uint256 want = lengths[kind - 1];
            _expect(_outOfBounds(want + 1, want, want));
            keys.addKey(NORTH, kind, new bytes(want + 1), START, START + YEAR, "");
            _expect(_outOfBounds(want - 1, want, want));
            keys.addKey(NORTH, kind, new bytes(want - 1), START, START + YEAR, "");
            if (kind != 1) keys.addKey(NORTH, kind, new bytes(want), START, START + YEAR, "");
        }
        _expect(_outOfBounds(0, 1, 5));
        keys.addKey(NORTH, 0, SEAL_KEY, START, START + YEAR, "");
        _expect(_outOfBounds(6, 1, 5));
        keys.addKey(NORTH, 6, SEAL_KEY, START, START + YEAR, "");
    }

    function test_ASubjectHoldsSixteenKeysOfAKind() public {
        vm.startPrank(north.addr);
        for (uint256 i = 0; i < 16; ++i) {
            keys.addKey(NORTH, 2, abi.encode(i), START, START + DAY, "");
        }
        _expect(_outOfBounds(17, 0, 16));
        keys.addKey(NORTH, 2, abi.encode(16), START, START + DAY, "");
        keys.revokeKey(keccak256(abi.encodePacked(uint8(2), abi.encode(3))), START);
        keys.addKey(NORTH, 2, abi.encode(16), START, START + DAY, "");
        vm.warp(START + DAY);
        for (uint256 i = 17; i < 33; ++i) {
            keys.addKey(NORTH, 2, abi.encode(i), START + DAY, START + YEAR, "");
        }
    }

    function test_KeysAreKeptByTheSubjectOrItsAdmin() public {
        (bytes16 boss, Vm.Wallet memory bossKey) = _staff(north, NORTH, "boss", Roles.ADMIN);
        (bytes16 cred, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.OFFICER);
        vm.prank(clerk.addr);
        keys.addKey(cred, 2, SEAL_KEY, START, START + YEAR, "");
        vm.prank(bossKey.addr);
        keys.addKey(cred, 3, SEAL_KEY, START, START + YEAR, "");
        vm.prank(bossKey.addr);
        keys.addKey(NORTH, 4, new bytes(33), START, START + YEAR, "");

        _expect(_notParty(NORTH, clerk.addr));
        vm.prank(clerk.addr);
        keys.addKey(NORTH, 2, abi.encode(1), START, START + YEAR, "");
        _expect(_notParty(boss, clerk.addr));
        vm.prank(clerk.addr);
        keys.addKey(boss, 2, abi.encode(1), START, START + YEAR, "");
        _expect(_notParty(cred, south.addr));
        vm.prank(south.addr);
        keys.addKey(cred, 2, abi.encode(1), START, START + YEAR, "");
        _expect(_notParty("nobody", stranger));
        vm.prank(stranger);
        keys.addKey("nobody", 2, abi.encode(1), START, START + YEAR, "");
        _expect(_notParty(0, stranger));
        vm.prank(stranger);
        keys.addKey(0, 2, abi.encode(1), START, START + YEAR, "");
    }

    // ── revokeKey ──

    function test_RevocationVoidsFromAMoment() public {
        _addSeal();
        vm.warp(START + 5 * DAY);
        vm.expectEmit(address(keys));
        emit IKeyRegistry.KeyRevoked(_sealId(), START + 3 * DAY);
        vm.prank(north.addr);
        keys.revokeKey(_sealId(), START + 3 * DAY);
        assertTrue(keys.validAt(_sealId(), START + 3 * DAY - 1));
        assertFalse(keys.validAt(_sealId(), START + 3 * DAY));
        _expect(
            abi.encodeWithSelector(IKeyRegistry.AlreadyRevoked.selector, _sealId(), START + 3 * DAY)
        );
        vm.prank(north.addr);
        keys.revokeKey(_sealId(), START + 4 * DAY);
    }

    function test_RevocationReachesSevenDaysBack() public {
        _addSeal();
        vm.startPrank(north.addr);
        _expect(_backdated(START - 1));
        keys.revokeKey(_sealId(), START - 1);
        vm.warp(START + 10 * DAY);
        _expect(_backdated(START + 3 * DAY - 1));
        keys.revokeKey(_sealId(), START + 3 * DAY - 1);
        _expect(_outOfBounds(START + 10 * DAY + 1, START, START + 10 * DAY));
        keys.revokeKey(_sealId(), START + 10 * DAY + 1);
        keys.revokeKey(_sealId(), START + 3 * DAY);
    }

    function test_AnUnknownKeyIsNamed() public {
        vm.startPrank(north.addr);
        _expect(_unknown(_sealId()));
        keys.revokeKey(_sealId(), START);
        _expect(_unknown(_sealId()));
        keys.retireKey(_sealId(), START);
        assertEq(keys.key(_sealId()).kind, 0);
        assertFalse(keys.validAt(_sealId(), START));
    }

    function test_NobodyElseRevokesOrRetires() public {
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        keys.revokeKey(_keyId(north.addr), START);
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        keys.retireKey(_keyId(north.addr), START);
    }

    function test_AnInstitutionKeepsAnAccount() public {
        vm.startPrank(north.addr);
        _expect(_last(NORTH));
        keys.revokeKey(_keyId(north.addr), START);
        _expect(_last(NORTH));
        keys.retireKey(_keyId(north.addr), START);
        vm.stopPrank();

        _bindAccount(north.addr, NORTH, _second);
        vm.startPrank(north.addr);
        _expect(_last(NORTH));
        keys.retireKey(_keyId(north.addr), START + YEAR);
        keys.retireKey(_keyId(north.addr), START + DAY);
        vm.stopPrank();

        vm.warp(START + DAY);
        _expect(_last(NORTH));
        vm.prank(_second.addr);
        keys.revokeKey(_keyId(_second.addr), START + DAY);
        assertEq(keys.subjectOf(north.addr), 0);
        assertEq(keys.subjectOf(_second.addr), NORTH);
    }

    function test_ACredentialMayLoseItsLastAccount() public {
        (bytes16 cred, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.OFFICER);
        vm.prank(north.addr);
        keys.revokeKey(_keyId(clerk.addr), START);
        assertEq(keys.subjectOf(clerk.addr), 0);
        _bindAccount(north.addr, cred, _second);
        assertEq(keys.subjectOf(_second.addr), cred);
    }

    // ── retireKey ──

    function test_RetiringBringsTheEndForward() public {
        _addSeal();
        vm.startPrank(north.addr);
        _expect(_backdated(START - 1));
        keys.retireKey(_sealId(), START - 1);
        _expect(_outOfBounds(START + YEAR, START, START + YEAR - 1));
        keys.retireKey(_sealId(), START + YEAR);
        vm.expectEmit(address(keys));
        emit IKeyRegistry.KeyRetired(_sealId(), START + DAY);
        keys.retireKey(_sealId(), START + DAY);
        assertTrue(keys.validAt(_sealId(), START + DAY - 1));
        assertFalse(keys.validAt(_sealId(), START + DAY));
    }

    function testFuzz_ValidAtDependsOnRecordedTimesAlone(uint64 until, uint64 revoked, uint64 t)
        public
    {
        until = uint64(bound(until, START + 1, START + 1095 * DAY));
        vm.prank(north.addr);
        keys.addKey(NORTH, 2, SEAL_KEY, START, until, "");
        vm.warp(START + 6 * DAY);
        revoked = uint64(bound(revoked, START, START + 6 * DAY));
        bool before = START <= t && t < until;
        assertEq(keys.validAt(_sealId(), t), before);
        vm.prank(north.addr);
        keys.revokeKey(_sealId(), revoked);
        assertEq(keys.validAt(_sealId(), t), before && t < revoked);
    }

    // ── relayed acts ──

    function _relay(string memory act, bytes memory parameters)
        private
        view
        returns (IModule.Auth memory)
    {
        return _consent(north, address(keys), "KeyRegistry", act, parameters);
    }

    function test_KeysAreKeptByRelayToo() public {
        IModule.Auth memory auth = _relay(
            "AddKey(bytes16 subject,uint8 kind,bytes publicKey,uint64 validFrom,uint64 validUntil,bytes proof,uint256 nonce,uint64 deadline)",
            abi.encode(
                NORTH, uint8(2), keccak256(SEAL_KEY), START, START + YEAR, keccak256("proof")
            )
        );
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, north.addr));
        keys.addKeyBySig(NORTH, 2, SEAL_KEY, START, START + YEAR, "other", auth);
        keys.addKeyBySig(NORTH, 2, SEAL_KEY, START, START + YEAR, "proof", auth);

        auth = _relay(
            "RetireKey(bytes32 keyId,uint64 validUntil,uint256 nonce,uint64 deadline)",
            abi.encode(_sealId(), START + DAY)
        );
        keys.retireKeyBySig(_sealId(), START + DAY, auth);
        auth = _relay(
            "RevokeKey(bytes32 keyId,uint64 revokedFrom,uint256 nonce,uint64 deadline)",
            abi.encode(_sealId(), START)
        );
        keys.revokeKeyBySig(_sealId(), START, auth);
        assertFalse(keys.validAt(_sealId(), START));
    }

    // ── rotateKey ──

    /// @dev The second account's consent to follow the north's first one.
    function _rotate(uint64 from, uint64 oldUntil) private {
        bytes memory proof = _binding(NORTH, _second, from, from + YEAR);
        vm.prank(north.addr);
        keys.rotateKey(
            _keyId(north.addr), abi.encodePacked(_second.addr), from, from + YEAR, oldUntil, proof
        );
    }

    function test_ARotationAddsAndRetiresInOneAct() public {
        vm.expectEmit(address(keys));
        emit IKeyRegistry.KeyAdded(
            _keyId(_second.addr),
            NORTH,
            1,
            START + DAY,
            START + DAY + YEAR,
            abi.encodePacked(_second.addr),
            _binding(NORTH, _second, START + DAY, START + DAY + YEAR)
        );
        vm.expectEmit(address(keys));
        emit IKeyRegistry.KeyRetired(_keyId(north.addr), START + 2 * DAY);
        _rotate(START + DAY, START + 2 * DAY);
        assertEq(keys.subjectOf(north.addr), NORTH);
        assertEq(keys.subjectOf(_second.addr), 0);
        vm.warp(START + DAY);
        assertEq(keys.subjectOf(north.addr), NORTH, "both for a while");
        assertEq(keys.subjectOf(_second.addr), NORTH);
        vm.warp(START + 2 * DAY);
        assertEq(keys.subjectOf(north.addr), 0);
        bytes32[] memory held = keys.keysOf(NORTH, 1);
        assertEq(held.length, 2);
        assertEq(held[1], _keyId(_second.addr));
    }

    function test_ARotationOverlapsAtMostThirtyDays() public {
        uint64 max = START + 30 * DAY;
        _expect(_outOfBounds(max + 1, START, max));
        _rotate(START, max + 1);
        _expect(_backdated(START - 1));
        _rotate(START, START - 1);
        _rotate(START, max);
    }

    function test_ARotationLeavesNoGapForAnInstitution() public {
        _expect(_last(NORTH));
        _rotate(START + 2 * DAY, START + DAY);
        _rotate(START + 2 * DAY, START + 2 * DAY);
    }

    function test_ARotationIsTheKeepersOfALiveKey() public {
        vm.startPrank(south.addr);
        _expect(_notParty(NORTH, south.addr));
        keys.rotateKey(_keyId(north.addr), SEAL_KEY, START, START + YEAR, START, "");
        _expect(_unknown(_sealId()));
        keys.rotateKey(_sealId(), SEAL_KEY, START, START + YEAR, START, "");
        vm.stopPrank();
        _addSeal();
        bytes memory next = abi.encodePacked(keccak256("next seal"));
        vm.startPrank(north.addr);
        keys.revokeKey(_sealId(), START);
        _expect(abi.encodeWithSelector(IKeyRegistry.AlreadyRevoked.selector, _sealId(), START));
        keys.rotateKey(_sealId(), next, START, START + YEAR, START, "");
    }

    function test_ARotationIsRelayedToo() public {
        _addSeal();
        bytes memory next = abi.encodePacked(keccak256("next seal"));
        IModule.Auth memory auth = _relay(
            "RotateKey(bytes32 keyId,bytes publicKey,uint64 validFrom,uint64 validUntil,uint64 oldUntil,bytes proof,uint256 nonce,uint64 deadline)",
            abi.encode(
                _sealId(), keccak256(next), START, START + YEAR, START + DAY, keccak256("proof")
            )
        );
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, north.addr));
        keys.rotateKeyBySig(_sealId(), next, START, START + YEAR, START + 2 * DAY, "proof", auth);
        vm.prank(relayer);
        keys.rotateKeyBySig(_sealId(), next, START, START + YEAR, START + DAY, "proof", auth);
        assertEq(keys.key(_sealId()).until, START + DAY);
        assertEq(keys.keysOf(NORTH, Codes.SEAL).length, 2);
    }

    // ── recovery ──

    function _guards() private view returns (bytes16[] memory list) {
        list = new bytes16[](2);
        (list[0], list[1]) = (SOUTH, INSPECTORATE);
        return list;
    }

    function _setGuardians() private {
        vm.prank(north.addr);
        keys.setGuardians(NORTH, _guards(), 2);
    }

    function _start() private {
        bytes memory proof = _binding(NORTH, _second, 0, 0);
        vm.prank(south.addr);
        keys.startRecovery(NORTH, SOUTH, _second.addr, proof);
    }

    function _approve() private {
        vm.prank(inspectorate.addr);
        keys.approveRecovery(NORTH, INSPECTORATE);
    }

    function test_GuardiansReplaceLostAccounts() public {
        vm.expectEmit(address(keys));
        emit IKeyRegistry.GuardiansSet(NORTH, _guards(), 2, START + 7 * DAY);
        _setGuardians();
        vm.warp(START + 7 * DAY);
        uint64 readyAt = START + 14 * DAY;
        vm.expectEmit(address(keys));
        emit IKeyRegistry.RecoveryStarted(NORTH, _second.addr, readyAt);
        _start();
        _expect(abi.encodeWithSelector(IKeyRegistry.NotEnough.selector, 1, 2));
        keys.finishRecovery(NORTH);
        vm.expectEmit(address(keys));
        emit IKeyRegistry.RecoveryApproved(NORTH, INSPECTORATE, 2);
        _approve();
        assertEq(keys.recovery(NORTH).approvals, 3);
        _expect(_exists(INSPECTORATE));
        _approve();

        vm.warp(readyAt - 1);
        _expect(abi.encodeWithSelector(IErrors.TooEarly.selector, readyAt));
        keys.finishRecovery(NORTH);
        vm.warp(readyAt);
        vm.expectEmit(address(keys));
        emit IKeyRegistry.RecoveryFinished(NORTH, _second.addr);
        keys.finishRecovery(NORTH);
        assertEq(keys.subjectOf(_second.addr), NORTH);
        assertEq(keys.subjectOf(north.addr), 0);
        assertTrue(keys.validAt(_keyId(north.addr), readyAt - 1), "the past stays");
        _expect(_unknown(NORTH));
        keys.finishRecovery(NORTH);
    }

    function test_ALiveAccountCancelsARecovery() public {
        _setGuardians();
        vm.warp(START + 7 * DAY);
        _start();
        _approve();
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        keys.cancelRecovery(NORTH);
        vm.expectEmit(address(keys));
        emit IKeyRegistry.RecoveryCancelled(NORTH);
        vm.prank(north.addr);
        keys.cancelRecovery(NORTH);
        vm.warp(START + 30 * DAY);
        _expect(_unknown(NORTH));
        keys.finishRecovery(NORTH);
        _expect(_unknown(NORTH));
        _approve();
    }

    function test_OnlyGuardiansInForceRecover() public {
        _setGuardians();
        _expect(abi.encodeWithSelector(IErrors.TooEarly.selector, START + 7 * DAY));
        vm.prank(south.addr);
        keys.startRecovery(NORTH, SOUTH, _second.addr, "");
        vm.warp(START + 7 * DAY);

        _expect(_notParty(SOUTH, stranger));
        vm.prank(stranger);
        keys.startRecovery(NORTH, SOUTH, _second.addr, "");
        _expect(_notParty(0, stranger));
        vm.prank(stranger);
        keys.startRecovery(NORTH, 0, _second.addr, "");
        _expect(abi.encodeWithSelector(IKeyRegistry.NotGuardian.selector, NORTH));
        vm.prank(north.addr);
        keys.startRecovery(NORTH, NORTH, _second.addr, "");
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, _second.addr));
        vm.prank(south.addr);
        keys.startRecovery(NORTH, SOUTH, _second.addr, "");
        _expect(_exists(_keyId(south.addr)));
        vm.prank(south.addr);
        keys.startRecovery(NORTH, SOUTH, south.addr, "");

        _start();
        bytes memory proof = _binding(NORTH, _second, 0, 0);
        _expect(_exists(NORTH));
        vm.prank(inspectorate.addr);
        keys.startRecovery(NORTH, INSPECTORATE, _second.addr, proof);
        _expect(_exists(NORTH));
        _setGuardians();
    }

    function test_GuardiansAreDistinctKnownAndOthers() public {
        vm.startPrank(north.addr);
        bytes16[] memory list = _guards();
        _expect(_outOfBounds(0, 1, 2));
        keys.setGuardians(NORTH, list, 0);
        _expect(_outOfBounds(3, 1, 2));
        keys.setGuardians(NORTH, list, 3);
        list[1] = SOUTH;
        _expect(_exists(SOUTH));
        keys.setGuardians(NORTH, list, 1);
        list[1] = NORTH;
        _expect(abi.encodeWithSelector(IKeyRegistry.NotGuardian.selector, NORTH));
        keys.setGuardians(NORTH, list, 1);
        list[1] = "nobody";
        _expect(_unknown("nobody"));
        keys.setGuardians(NORTH, list, 1);
        _expect(_outOfBounds(10, 1, 9));
        keys.setGuardians(NORTH, new bytes16[](10), 1);
        vm.stopPrank();
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        keys.setGuardians(NORTH, list, 1);
    }

    /// @dev New guardians need 7 days; until then the ones before decide, also about a recovery
    /// that ends later.
    function test_EarlierGuardiansDecideUntilTheNewOnesAreInForce() public {
        assertEq(keys.guardiansInForce(NORTH).threshold, 0);
        _setGuardians();
        assertEq(keys.guardiansInForce(NORTH).threshold, 0, "not yet");
        vm.warp(START + 7 * DAY);
        assertEq(keys.guardiansInForce(NORTH).threshold, 2);

        bytes16[] memory list = new bytes16[](1);
        list[0] = INSPECTORATE;
        vm.prank(north.addr);
        keys.setGuardians(NORTH, list, 1);
        list[0] = SOUTH;
        vm.prank(north.addr);
        keys.setGuardians(NORTH, list, 1);
        assertEq(keys.guardians(NORTH).threshold, 1, "named last");
        assertEq(keys.guardiansInForce(NORTH).threshold, 2, "still the first");

        vm.warp(START + 8 * DAY);
        _start();
        vm.warp(START + 20 * DAY);
        assertEq(keys.guardiansInForce(NORTH).threshold, 1);
        _expect(abi.encodeWithSelector(IKeyRegistry.NotEnough.selector, 1, 2));
        keys.finishRecovery(NORTH);
        _approve();
        keys.finishRecovery(NORTH);
        assertEq(keys.subjectOf(_second.addr), NORTH);
    }

    function test_RecoveryIsRelayedToo() public {
        bytes16[] memory list = _guards();
        IModule.Auth memory auth = _relay(
            "SetGuardians(bytes16 subject,bytes16[] list,uint8 threshold,uint256 nonce,uint64 deadline)",
            abi.encode(
                NORTH,
                // EIP-712: each element takes a whole word.
                keccak256(abi.encode(bytes32(SOUTH), bytes32(INSPECTORATE))),
                uint8(2)
            )
        );
        keys.setGuardiansBySig(NORTH, list, 2, auth);
        vm.warp(START + 7 * DAY);

        bytes memory proof = _binding(NORTH, _second, 0, 0);
        auth = _consent(
            south,
            address(keys),
            "KeyRegistry",
            "StartRecovery(bytes16 subject,bytes16 guardian,address newAccount,bytes proof,uint256 nonce,uint64 deadline)",
            abi.encode(NORTH, SOUTH, _second.addr, keccak256(proof))
        );
        keys.startRecoveryBySig(NORTH, SOUTH, _second.addr, proof, auth);
        auth = _consent(
            inspectorate,
            address(keys),
            "KeyRegistry",
            "ApproveRecovery(bytes16 subject,bytes16 guardian,uint256 nonce,uint64 deadline)",
            abi.encode(NORTH, INSPECTORATE)
        );
        keys.approveRecoveryBySig(NORTH, INSPECTORATE, auth);
        assertEq(keys.recovery(NORTH).approvals, 3);
        auth = _relay(
            "CancelRecovery(bytes16 subject,uint256 nonce,uint64 deadline)", abi.encode(NORTH)
        );
        keys.cancelRecoveryBySig(NORTH, auth);
        assertEq(keys.recovery(NORTH).newAccount, address(0));
    }
}
