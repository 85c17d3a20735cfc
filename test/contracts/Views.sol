// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Views of OpenZeppelin's bases that the modules' own interfaces leave out.
interface INonces {
    function nonces(address owner) external view returns (uint256);
    function nonces(address owner, uint192 key) external view returns (uint256);
}
