// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRecordRegistry} from "../../../contracts/interfaces/IRecordRegistry.sol";
import {Base} from "../Base.t.sol";

/// @notice Invariants R1 and R2: batches form an unbroken chain that nobody overwrites, and a
/// withdrawn bit is set once, by its owner, for the leaf that stands there.
contract RecordsInvariantTest is Base {
    uint256 private constant BATCHES_MAX = 6;
    /// @dev Sixteen leaves that all look alike: each level has one node, proof and root are short.
    bytes32 private constant LEAF = keccak256("leaf");

    bytes32[] private _roots;
    mapping(uint64 seq => mapping(uint32 index => bool)) private _withdrawn;
    string private _broken;

    function setUp() public override {
        super.setUp();
        bytes4[] memory selectors = new bytes4[](3);
        selectors[0] = this.anchorNext.selector;
        selectors[1] = this.withdrawOne.selector;
        selectors[2] = this.wait.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    // ──────────────────────────────────────────────────────────────

    function anchorNext(uint64 seq, bool skip, bool wrongPast, bool byOther) external {
        if (_roots.length == BATCHES_MAX) return;
        uint64 next = records.head(NORTH).seq + 1;
        bytes32 prev = records.head(NORTH).root;
        bytes32 leaf = keccak256(abi.encode(LEAF, next));
        if (skip) next = seq;
        if (wrongPast) prev = LEAF;
        bool good = next == _roots.length + 1 && prev == _last() && !byOther;
        vm.prank(byOther ? south.addr : north.addr);
        try records.anchor(NORTH, next, prev, _root(leaf), 4, 1) {
            if (!good) _broken = "anchored out of turn";
            _roots.push(_root(leaf));
        } catch {
            if (good) _broken = "a good batch refused";
        }
    }

    function withdrawOne(uint64 seq, uint32 index, bool wrongLeaf, bool byOther) external {
        if (_roots.length == 0) return;
        seq = 1 + seq % uint64(_roots.length);
        index = index % 20;
        bytes32 leaf = keccak256(abi.encode(LEAF, wrongLeaf ? seq + 1 : seq));
        bool good = !wrongLeaf && !byOther && index < 16 && !_withdrawn[seq][index];
        vm.prank(byOther ? south.addr : north.addr);
        try records.withdraw(NORTH, seq, index, leaf, 8, _path(leaf)) {
            if (!good) _broken = "withdrawn without right";
            _withdrawn[seq][index] = true;
        } catch {
            if (good) _broken = "a good withdrawal refused";
        }
    }

    function wait(uint32 secs) external {
        vm.warp(_now() + secs % DAY);
    }

    // ──────────────────────────────────────────────────────────────

    function invariant_BatchesChainAndBitsStay() public view {
        assertEq(_broken, "");
        assertEq(records.head(NORTH).seq, _roots.length);
        assertEq(records.head(NORTH).root, _last());
        for (uint64 seq = 1; seq <= _roots.length; ++seq) {
            IRecordRegistry.Batch memory b = records.batch(NORTH, seq);
            assertEq(b.root, _roots[seq - 1], "overwritten");
            assertLe(records.batch(NORTH, seq - 1).anchoredAt, b.anchoredAt);
            for (uint32 index = 0; index < 20; ++index) {
                assertEq(records.isWithdrawn(NORTH, seq, index), _withdrawn[seq][index]);
            }
        }
        assertEq(records.batch(NORTH, uint64(_roots.length) + 1).root, 0);
    }

    function _last() private view returns (bytes32) {
        return _roots.length == 0 ? bytes32(0) : _roots[_roots.length - 1];
    }

    function _path(bytes32 leaf) private pure returns (bytes32[] memory path) {
        path = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            path[i] = leaf;
            leaf = keccak256(abi.encodePacked(leaf, leaf));
        }
    }

    function _root(bytes32 leaf) private pure returns (bytes32) {
        for (uint256 i = 0; i < 4; ++i) {
            leaf = keccak256(abi.encodePacked(leaf, leaf));
        }
        return leaf;
    }
}
