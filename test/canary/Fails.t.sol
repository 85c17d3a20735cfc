// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A test that has to fail.
/// @notice `.ci/canary` runs it and demands that the failure is reported: a runner that hides it
/// would hide every other one too.
contract FailsTest {
    function test_ThisFails() public pure {
        require(false, "a failing test is reported");
    }
}
