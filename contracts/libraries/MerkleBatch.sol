// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Index-bound Merkle proofs over a full binary tree of 2^sizeLog2 leaves.
/// @dev A leaf is `keccak256(keccak256(P))` of a typed preimage P (≥ 96 bytes), a node is
/// `keccak256(left ‖ right)`. Bit i of the index, least significant first, says on which side the
/// running hash stands at height i: 0 is left. Preimages, leaf preimages and nodes have different
/// lengths and the depth is fixed, so no node, shorter or longer path passes as a leaf.
library MerkleBatch {
    /// @notice The leaf of a typed preimage, hashed twice.
    function leafOf(bytes memory preimage) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(keccak256(preimage)));
    }

    /// @notice Root that `leaf` at `index` has with these siblings, lowest first.
    function rootOf(bytes32 leaf, uint256 index, bytes32[] calldata proof)
        internal
        pure
        returns (bytes32 root)
    {
        root = leaf;
        for (uint256 height = 0; height < proof.length; ++height) {
            root = (index >> height) & 1 == 0
                ? nodeOf(root, proof[height])
                : nodeOf(proof[height], root);
        }
    }

    /// @notice Whether `leaf` is the leaf at `index` of the tree of 2^sizeLog2 leaves under `root`.
    function verify(
        bytes32 root,
        uint8 sizeLog2,
        bytes32 leaf,
        uint256 index,
        bytes32[] calldata proof
    ) internal pure returns (bool) {
        if (root == 0 || proof.length != sizeLog2 || index >> sizeLog2 != 0) {
            return false;
        }
        return rootOf(leaf, index, proof) == root;
    }

    /// @notice A node above two children.
    function nodeOf(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(left, right));
    }
}
