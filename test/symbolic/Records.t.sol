// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {IRecordRegistry} from "../../contracts/interfaces/IRecordRegistry.sol";
import {RecordRegistry} from "../../contracts/records/RecordRegistry.sol";
import {World} from "./World.sol";

/// @title R1 and R2: any batch after any other, any withdrawal from a batch of depth 4.
contract RecordsProof is Test {
    bytes16 private constant OWNER = bytes16(uint128(1));
    uint8 private constant DEPTH = 4;

    World private _world;
    RecordRegistry private _records;

    function setUp() public {
        _world = new World();
        _records = new RecordRegistry(address(_world), address(_world));
        vm.warp(1_800_000_000);
    }

    // ── R1 ──

    /// @dev The first batch with any root, then any other: it is refused, or it is number 2, names
    /// the first one's root, and leaves the first one as it was.
    function check_BatchesRiseByOneAndLink(
        bytes32 first,
        uint64 seq,
        bytes32 prevRoot,
        bytes32 root,
        uint8 sizeLog2,
        uint16 schema
    ) external {
        vm.assume(first != 0);
        _records.anchor(OWNER, 1, 0, first, DEPTH, 1);
        bytes32 before = keccak256(abi.encode(_records.batch(OWNER, 1)));
        bool done;
        try _records.anchor(OWNER, seq, prevRoot, root, sizeLog2, schema) {
            done = true;
        } catch {}
        IRecordRegistry.Head memory head = _records.head(OWNER);
        assert(keccak256(abi.encode(_records.batch(OWNER, 1))) == before);
        if (done) {
            assert(seq == 2 && prevRoot == first && root != 0);
            assert(head.seq == 2 && head.root == root);
            IRecordRegistry.Batch memory b = _records.batch(OWNER, 2);
            assert(b.root == root && b.sizeLog2 == sizeLog2 && b.schema == schema);
        } else {
            assert(head.seq == 1 && head.root == first);
            assert(_records.batch(OWNER, 2).root == 0);
        }
    }

    /// @dev From nothing: number 1 after root 0 only.
    function check_TheFirstBatchFollowsNothing(uint64 seq, bytes32 prevRoot, bytes32 root)
        external
    {
        try _records.anchor(OWNER, seq, prevRoot, root, DEPTH, 1) {
            assert(seq == 1 && prevRoot == 0 && root != 0);
        } catch {
            assert(_records.head(OWNER).seq == 0);
        }
    }

    /// @dev Another institution's chain is not touched.
    function check_OthersKeepTheirChains(bytes16 other, bytes32 first, bytes32 root) external {
        vm.assume(other != OWNER && first != 0 && root != 0);
        _records.anchor(OWNER, 1, 0, first, DEPTH, 1);
        _records.anchor(other, 1, 0, root, DEPTH, 1);
        assert(_records.head(OWNER).root == first && _records.head(OWNER).seq == 1);
    }

    // ── R2 ──

    function _path(bytes32[4] calldata siblings) private pure returns (bytes32[] memory path) {
        path = new bytes32[](DEPTH);
        (path[0], path[1], path[2], path[3]) = (siblings[0], siblings[1], siblings[2], siblings[3]);
    }

    /// @dev What is withdrawn was proven at that index, and no other index is.
    function check_WithdrawalNeedsTheProofOfItsIndex(
        bytes32 root,
        bytes32 leaf,
        uint32 index,
        uint32 other,
        bytes32[4] calldata siblings
    ) external {
        vm.assume(root != 0 && other != index);
        _records.anchor(OWNER, 1, 0, root, DEPTH, 1);
        bytes32[] memory path = _path(siblings);
        bool good = _records.verify(OWNER, 1, leaf, index, path);
        try _records.withdraw(OWNER, 1, index, leaf, 1, path) {
            assert(good && _records.isWithdrawn(OWNER, 1, index));
        } catch {
            assert(!good && !_records.isWithdrawn(OWNER, 1, index));
        }
        assert(!_records.isWithdrawn(OWNER, 1, other));
    }

    /// @dev Nothing takes a withdrawal back: not a second one, not another index, not a batch. The
    /// withdrawn one is the first leaf or the second, the other any.
    function check_WithdrawnStaysWithdrawn(
        bytes32 leaf,
        uint8 index,
        bytes32 otherLeaf,
        uint32 other,
        bytes32[4] calldata siblings
    ) external {
        vm.assume(index < 2);
        bytes32[] memory path = _path(siblings);
        bytes32 root = this.rootOf(leaf, index, path);
        vm.assume(root != 0);
        _records.anchor(OWNER, 1, 0, root, DEPTH, 1);
        _records.withdraw(OWNER, 1, index, leaf, 1, path);
        assert(_records.isWithdrawn(OWNER, 1, index));
        try _records.withdraw(OWNER, 1, other, otherLeaf, 2, path) {
            assert(other != index);
        } catch {}
        _records.anchor(OWNER, 2, root, "root", DEPTH, 1);
        assert(_records.isWithdrawn(OWNER, 1, index));
    }

    /// @dev Only who speaks for the owner withdraws, with the roles of a steward or a relayer.
    function check_OnlyTheOwnerWithdraws(
        bytes32 leaf,
        uint8 index,
        bytes32[4] calldata siblings,
        bytes16 inst,
        uint16 roles
    ) external {
        vm.assume(index < 1 << DEPTH);
        bytes32[] memory path = _path(siblings);
        bytes32 root = this.rootOf(leaf, index, path);
        vm.assume(root != 0);
        _records.anchor(OWNER, 1, 0, root, DEPTH, 1);
        _world.speakAs("somebody", inst, roles);
        try _records.withdraw(OWNER, 1, index, leaf, 1, path) {
            assert(inst == OWNER && roles & 0x42 != 0);
        } catch {
            assert(!_records.isWithdrawn(OWNER, 1, index));
        }
    }

    /// @dev The root of `leaf` at `index`, written out once more.
    function rootOf(bytes32 leaf, uint256 index, bytes32[] calldata path)
        external
        pure
        returns (bytes32 root)
    {
        root = leaf;
        for (uint256 height = 0; height < DEPTH; ++height) {
            root = (index >> height) & 1 == 0
                ? keccak256(abi.encodePacked(root, path[height]))
                : keccak256(abi.encodePacked(path[height], root));
        }
    }
}
