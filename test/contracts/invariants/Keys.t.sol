// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IKeyRegistry} from "../../../contracts/interfaces/IKeyRegistry.sol";
import {Codes} from "../../../contracts/libraries/Codes.sol";
import {Base} from "../Base.t.sol";

/// @notice Invariant K1: what was valid at a past time stays so, but for revocations dated before;
/// and no recovery before its time or after a cancel. An institution never loses its last account.
contract KeysInvariantTest is Base {
    uint256 private constant KEYS_MAX = 20;
    uint256 private constant SAMPLES_MAX = 24;

    struct Sample {
        bytes32 keyId;
        uint64 t;
        bool valid;
    }

    bytes32[] private _ids;
    Sample[] private _samples;
    Vm.Wallet private _fresh;
    uint64 private _readyAt;
    uint256 private _approvals;
    string private _broken;

    function setUp() public override {
        super.setUp();
        _fresh = vm.createWallet("fresh");
        bytes16[] memory list = new bytes16[](2);
        (list[0], list[1]) = (SOUTH, INSPECTORATE);
        vm.prank(north.addr);
        keys.setGuardians(NORTH, list, 2);
        bytes4[] memory selectors = new bytes4[](6);
        selectors[0] = this.add.selector;
        selectors[1] = this.endOne.selector;
        selectors[2] = this.rotate.selector;
        selectors[3] = this.sample.selector;
        selectors[4] = this.recover.selector;
        selectors[5] = this.wait.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    // ──────────────────────────────────────────────────────────────

    function add(uint32 delay, uint32 term) external {
        if (_ids.length == KEYS_MAX) return;
        bytes memory publicKey = abi.encode(_ids.length);
        uint64 from = _now() + delay % (10 * DAY);
        vm.prank(north.addr);
        try keys.addKey(NORTH, Codes.SEAL, publicKey, from, from + 1 + term % (40 * DAY), "") {
            _ids.push(keccak256(abi.encodePacked(Codes.SEAL, publicKey)));
        } catch {}
    }

    function endOne(uint256 pick, bool revoke, uint32 offset, bool byOther) external {
        bytes32 id = _pick(pick);
        vm.prank(byOther ? south.addr : north.addr);
        if (revoke) {
            uint64 from = _now() - offset % (10 * DAY);
            try keys.revokeKey(id, from) {
                if (byOther || from + 7 * DAY < _now()) _broken = "revoked without right";
            } catch {}
        } else {
            try keys.retireKey(id, _now() + offset % (10 * DAY)) {
                if (byOther) _broken = "retired by another";
            } catch {}
        }
    }

    function rotate(uint256 pick, uint32 overlap) external {
        if (_ids.length == KEYS_MAX) return;
        bytes memory publicKey = abi.encode(_ids.length);
        uint64 oldUntil = _now() + overlap % (40 * DAY);
        bytes32 old = _pick(pick);
        vm.prank(north.addr);
        try keys.rotateKey(old, publicKey, _now(), _now() + 90 * DAY, oldUntil, "") {
            if (oldUntil > _now() + 30 * DAY) _broken = "both valid for too long";
            _ids.push(keccak256(abi.encodePacked(Codes.SEAL, publicKey)));
        } catch {}
    }

    /// @dev Keeps what a key was at a time that is over: acts of the present second may still
    /// change it.
    function sample(uint256 pick, uint32 back) external {
        if (_samples.length == SAMPLES_MAX) return;
        uint64 t = _now() - 1 - back % (20 * DAY);
        bytes32 id = _pick(pick);
        _samples.push(Sample(id, t, keys.validAt(id, t)));
    }

    function recover(uint8 what, bool bySouth) external {
        vm.startPrank(bySouth ? south.addr : inspectorate.addr);
        bytes16 guard = bySouth ? SOUTH : INSPECTORATE;
        if (what % 4 == 0) {
            bytes memory proof = _binding(NORTH, _fresh, 0, 0);
            try keys.startRecovery(NORTH, guard, _fresh.addr, proof) {
                (_readyAt, _approvals) = (_now() + 7 * DAY, 1);
            } catch {}
        } else if (what % 4 == 1) {
            try keys.approveRecovery(NORTH, guard) {
                ++_approvals;
            } catch {}
        } else if (what % 4 == 2) {
            try keys.finishRecovery(NORTH) {
                if (_readyAt == 0 || _now() < _readyAt || _approvals != 2) _broken = "recovered";
                _readyAt = 0;
            } catch {}
        }
        vm.stopPrank();
        if (what % 16 == 3) {
            vm.prank(north.addr);
            try keys.cancelRecovery(NORTH) {
                _readyAt = 0;
            } catch {}
        }
    }

    function wait(uint32 secs) external {
        vm.warp(_now() + secs % (5 * DAY));
    }

    // ──────────────────────────────────────────────────────────────

    function invariant_ThePastOfKeysStays() public view {
        assertEq(_broken, "");
        for (uint256 i = 0; i < _samples.length; ++i) {
            Sample storage s = _samples[i];
            uint64 revokedAt = keys.key(s.keyId).revokedAt;
            if (revokedAt != 0 && revokedAt <= s.t) {
                assertFalse(keys.validAt(s.keyId, s.t), "revoked by then");
            } else {
                assertEq(keys.validAt(s.keyId, s.t), s.valid, "the past changed");
            }
        }
        bool spoken = keys.subjectOf(north.addr) == NORTH || keys.subjectOf(_fresh.addr) == NORTH;
        assertTrue(spoken, "nobody speaks for the institution");
        assertLe(keys.keysOf(NORTH, Codes.SEAL).length, 16);
    }

    function _pick(uint256 pick) private view returns (bytes32) {
        return _ids.length == 0 ? _keyId(north.addr) : _ids[pick % _ids.length];
    }
}
