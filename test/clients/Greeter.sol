// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

/// Keeps a greeting, tells when it changes, and refuses an empty one: what a client needs to see of a contract.
contract Greeter {
    string public greeting;

    event Greeted(address indexed by, string greeting);

    error TooLong(uint256 length);

    constructor(string memory first) {
        greeting = first;
    }

    function greet(string calldata next) external {
        require(bytes(next).length > 0, "say something");
        if (bytes(next).length > 64) revert TooLong(bytes(next).length);
        greeting = next;
        emit Greeted(msg.sender, next);
    }
}
