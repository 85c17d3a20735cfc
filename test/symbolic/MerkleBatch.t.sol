// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleBatch} from "../../contracts/libraries/MerkleBatch.sol";

/// @title R3, for trees of depth 4 and all leaves, indices and siblings; keccak256 is abstract.
contract MerkleBatchProof {
    uint8 private constant DEPTH = 4;

    function _verify(
        bytes32 root,
        uint8 sizeLog2,
        bytes32 leaf,
        uint256 index,
        bytes32[] memory path
    ) private view returns (bool) {
        return this.verify(root, sizeLog2, leaf, index, path);
    }

    function verify(
        bytes32 root,
        uint8 sizeLog2,
        bytes32 leaf,
        uint256 index,
        bytes32[] calldata path
    ) external pure returns (bool) {
        return MerkleBatch.verify(root, sizeLog2, leaf, index, path);
    }

    function _path(bytes32 a, bytes32 b, bytes32 c, bytes32 d)
        private
        pure
        returns (bytes32[] memory path)
    {
        path = new bytes32[](DEPTH);
        (path[0], path[1], path[2], path[3]) = (a, b, c, d);
    }

    function check_AnotherDepthNeverVerifies(
        bytes32 root,
        uint8 sizeLog2,
        bytes32 leaf,
        uint256 index,
        bytes32[4] calldata siblings
    ) external view {
        if (sizeLog2 == DEPTH) return;
        bytes32[] memory path = _path(siblings[0], siblings[1], siblings[2], siblings[3]);
        assert(!_verify(root, sizeLog2, leaf, index, path));
    }

    function check_AnIndexBeyondTheTreeNeverVerifies(
        bytes32 root,
        bytes32 leaf,
        uint256 index,
        bytes32[4] calldata siblings
    ) external view {
        if (index < 1 << DEPTH) return;
        bytes32[] memory path = _path(siblings[0], siblings[1], siblings[2], siblings[3]);
        assert(!_verify(root, DEPTH, leaf, index, path));
    }

    function check_NothingVerifiesUnderNoRoot(
        bytes32 leaf,
        uint256 index,
        bytes32[4] calldata siblings
    ) external view {
        bytes32[] memory path = _path(siblings[0], siblings[1], siblings[2], siblings[3]);
        assert(!_verify(0, DEPTH, leaf, index, path));
    }

    /// @dev One index and one root have one leaf under the same siblings.
    function check_OneIndexHasOneLeaf(
        bytes32 leaf,
        bytes32 other,
        uint8 index,
        bytes32[4] calldata siblings
    ) external view {
        if (leaf == other || index >= 1 << DEPTH) return;
        bytes32[] memory path = _path(siblings[0], siblings[1], siblings[2], siblings[3]);
        bytes32 root = this.rootOf(leaf, index, path);
        assert(!_verify(root, DEPTH, other, index, path));
    }

    function rootOf(bytes32 leaf, uint256 index, bytes32[] calldata path)
        external
        pure
        returns (bytes32)
    {
        return MerkleBatch.rootOf(leaf, index, path);
    }
}
