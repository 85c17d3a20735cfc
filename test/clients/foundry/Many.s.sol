// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

import {Script} from "forge-std/Script.sol";
import {Greeter} from "../Greeter.sol";

/// Six transactions of one sender: a creation and five calls that build on one another.
contract Many is Script {
    function run() external {
        vm.startBroadcast();
        Greeter greeter = new Greeter("first");
        for (uint256 i = 0; i < 5; i++) {
            greeter.greet(vm.toString(i));
        }
        vm.stopBroadcast();
        require(keccak256(bytes(greeter.greeting())) == keccak256("4"), "the last greeting stands");
    }
}
