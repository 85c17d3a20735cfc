// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {KeyRegistry} from "../../contracts/identity/KeyRegistry.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {World} from "./World.sol";

/// @title K1: what a key was good for in the past stays so, and an account is recovered only after
/// its delay and never after a cancel.
contract KeysProof is Test {
    uint64 private constant START = 1_800_000_000;
    uint64 private constant END = START + 365 days;
    bytes16 private constant SUBJECT = bytes16(uint128(1));
    bytes16 private constant GUARDIAN = bytes16(uint128(9));
    address private constant OWNER_ACCOUNT = address(0xA1);
    address private constant GUARDIAN_ACCOUNT = address(0xA2);
    bytes32 private constant PUBLIC_KEY = "a sealing key";

    KeyRegistry private _keys;
    address private _newAccount;
    bytes32 private _keyId;

    function setUp() public {
        World world = new World();
        _newAccount = address(world);
        _keys = new KeyRegistry(address(world), address(world));
        vm.warp(START);
        _keys.bindFirst(SUBJECT, OWNER_ACCOUNT);
        _keys.bindFirst(GUARDIAN, GUARDIAN_ACCOUNT);
        vm.startPrank(OWNER_ACCOUNT);
        _keys.addKey(SUBJECT, Codes.SEAL, abi.encode(PUBLIC_KEY), START, END, "");
        bytes16[] memory list = new bytes16[](1);
        list[0] = GUARDIAN;
        _keys.setGuardians(SUBJECT, list, 1);
        vm.stopPrank();
        _keyId = keccak256(abi.encodePacked(Codes.SEAL, PUBLIC_KEY));
    }

    // ── the past ──

    /// @dev Any act on the key at any later moment leaves `validAt` as it was for all times before
    /// that moment; a revocation, for all times before its date, at most 7 d back.
    function check_LaterActsLeaveThePast(uint8 which, uint40 wait, uint64 date, uint64 t) external {
        vm.assume(which < 3);
        bool before = _keys.validAt(_keyId, t);
        vm.warp(uint256(START) + wait);
        bool done = _act(which, date);
        if (t >= block.timestamp) return;
        if (which == 0 && done && t >= date) {
            assert(uint256(date) + 7 days >= block.timestamp && date >= START);
            return;
        }
        assert(_keys.validAt(_keyId, t) == before);
    }

    /// @dev A key that was ended or revoked does not come back.
    function check_WhatIsOverStaysOver(
        uint8 first,
        uint8 second,
        uint64 date,
        uint64 then,
        uint64 t
    ) external {
        vm.assume(first < 3 && second < 3);
        vm.warp(START + 30 days);
        _act(first, date);
        vm.assume(!_keys.validAt(_keyId, t));
        _act(second, then);
        assert(!_keys.validAt(_keyId, t));
    }

    function _act(uint8 which, uint64 date) private returns (bool done) {
        vm.startPrank(OWNER_ACCOUNT);
        if (which == 0) {
            try _keys.revokeKey(_keyId, date) {
                done = true;
            } catch {}
        }
        if (which == 1) {
            try _keys.retireKey(_keyId, date) {
                done = true;
            } catch {}
        }
        if (which == 2) {
            uint64 from = uint64(block.timestamp);
            bytes memory next = abi.encode(bytes32("another key"));
            try _keys.rotateKey(_keyId, next, from, from + 365 days, date, "") {
                done = true;
            } catch {}
        }
        vm.stopPrank();
    }

    // ── recovery: within 136 years, since times have 40 bits ──

    function _start() private {
        vm.warp(START + 8 days);
        vm.prank(GUARDIAN_ACCOUNT);
        _keys.startRecovery(SUBJECT, GUARDIAN, _newAccount, "");
    }

    function check_NoRecoveryBeforeItsDelay(uint32 wait, address who) external {
        _start();
        vm.warp(uint256(START) + 8 days + wait);
        vm.prank(who);
        try _keys.finishRecovery(SUBJECT) {
            assert(wait >= 7 days && _keys.subjectOf(_newAccount) == SUBJECT);
        } catch {
            assert(wait < 7 days && _keys.subjectOf(_newAccount) == 0);
        }
    }

    function check_NoRecoveryAfterACancel(uint32 wait, uint32 later, address who) external {
        _start();
        vm.warp(uint256(START) + 8 days + wait);
        vm.prank(OWNER_ACCOUNT);
        _keys.cancelRecovery(SUBJECT);
        vm.warp(uint256(START) + 8 days + wait + later);
        vm.prank(who);
        try _keys.finishRecovery(SUBJECT) {
            assert(false);
        } catch {}
        assert(_keys.subjectOf(_newAccount) == 0 && _keys.subjectOf(OWNER_ACCOUNT) == SUBJECT);
    }
}
