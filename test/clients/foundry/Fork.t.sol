// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

import {Test} from "forge-std/Test.sol";
import {Greeter} from "../Greeter.sol";

/// Runs on a fork: what stands on the chain is there, what is changed here stays here.
contract ForkTest is Test {
    Greeter private greeter = Greeter(vm.envAddress("GREETER"));

    function test_readsTheChain() external view {
        assertEq(greeter.greeting(), "good morning");
    }

    function test_writesOnTheFork() external {
        greeter.greet("only here");
        assertEq(greeter.greeting(), "only here");
        vm.expectRevert(bytes("say something"));
        greeter.greet("");
    }
}
