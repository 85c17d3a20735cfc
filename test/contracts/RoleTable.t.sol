// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {Base} from "./Base.t.sol";

/// @title G1: each function that changes state behaves towards a stranger as the golden table says.
/// @notice `test/contracts/roles --check` compares the table with ABI and source, line by line.
contract RoleTableTest is Base {
    string private constant TABLE = "test/contracts/roles.golden.tsv";

    function test_AStrangerMayDoWhatTheTableSays() public {
        string[] memory lines = vm.split(vm.readFile(TABLE), "\n");
        uint256 tried = 0;
        for (uint256 i = 0; i < lines.length; ++i) {
            string[] memory row = vm.split(lines[i], "\t");
            if (row.length != 5 || bytes(lines[i])[0] == "#") continue;
            _try(_placeOf(row[0]), bytes4(keccak256(bytes(row[1]))), row[3], lines[i]);
            ++tried;
        }
        assertGt(tried, 250, "functions tried");
    }

    function _try(address target, bytes4 selector, string memory rule, string memory line) private {
        assertEq(vm.toString(bytes.concat(selector)), vm.split(line, "\t")[2], line);
        uint256 snapshot = vm.snapshotState();
        vm.prank(stranger);
        (bool done, bytes memory answer) = target.call(bytes.concat(selector, new bytes(40 * 32)));
        vm.revertToState(snapshot);
        bytes4 refusal = done || answer.length < 4 ? bytes4(0) : bytes4(answer);
        bool unauthorized = refusal == IAccessManaged.AccessManagedUnauthorized.selector;
        if (bytes(rule)[0] == "R") {
            assertFalse(done, line);
            // AccessManager and TimelockController have errors of their own for it.
            if (vm.parseUint(_digits(rule)) != 99) assertTrue(unauthorized, line);
        } else if (bytes(rule)[0] == "p") {
            assertFalse(done, line);
            assertFalse(unauthorized, line);
        } else {
            assertFalse(unauthorized, line);
            assertFalse(refusal == IErrors.NotParty.selector, line);
        }
    }

    /// @dev The role id of `R:<id>`; 99 for a rule in words.
    function _digits(string memory rule) private pure returns (string memory) {
        bytes memory text = bytes(rule);
        bytes memory digits = new bytes(text.length - 2);
        for (uint256 i = 2; i < text.length; ++i) {
            if (text[i] < "0" || text[i] > "9") return "99";
            digits[i - 2] = text[i];
        }
        return string(digits);
    }

    function _placeOf(string memory name) private view returns (address) {
        if (_equal(name, "AccessManager")) return address(manager);
        return _addressOf(name);
    }
}
