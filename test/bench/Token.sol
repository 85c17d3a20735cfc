// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// The least of ERC-20 that a transfer costs: two balances and an event.
contract Token {
    event Transfer(address indexed from, address indexed to, uint256 value);

    mapping(address owner => uint256 balance) public balanceOf;

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value;
        emit Transfer(msg.sender, to, value);
        return true;
    }
}
