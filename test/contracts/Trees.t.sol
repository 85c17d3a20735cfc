// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice A `.tree` beside a file of tests says what is tested: each leaf is a test whose name
/// ends with the leaf's words, and each test is a leaf.
contract TreesTest is Test {
    string private constant FOLDER = "test/contracts";
    string private constant BRANCH = unicode"── ";

    function test_EachLeafIsATestAndEachTestALeaf() public view {
        Vm.DirEntry[] memory entries = vm.readDir(FOLDER, 2);
        uint256 trees = 0;
        for (uint256 i = 0; i < entries.length; ++i) {
            string[] memory parts = vm.split(entries[i].path, ".tree");
            if (parts.length != 2) continue;
            ++trees;
            _compare(entries[i].path, string.concat(parts[0], ".t.sol"));
        }
        assertGt(trees, 0, "trees found");
    }

    function _compare(string memory tree, string memory source) private view {
        string[] memory lines = vm.split(vm.readFile(tree), "\n");
        (string memory tests, uint256 count) = _testsOf(source);
        uint256 leaves = 0;
        for (uint256 i = 0; i < lines.length; ++i) {
            uint256 depth = _depth(lines[i]);
            if (depth == 0 || (i + 1 < lines.length && _depth(lines[i + 1]) > depth)) continue;
            ++leaves;
            string memory name = _name(lines[i]);
            bool found = vm.indexOf(tests, name) != type(uint256).max;
            assertTrue(found, string.concat(tree, ": no test ends with ", name));
        }
        assertEq(leaves, count, string.concat(source, ": as many leaves as tests"));
    }

    /// @dev The names of a file's tests, one after another, each with its opening bracket.
    function _testsOf(string memory source)
        private
        view
        returns (string memory tests, uint256 count)
    {
        string[] memory pieces = vm.split(vm.readFile(source), "function test");
        for (uint256 i = 1; i < pieces.length; ++i) {
            tests = string.concat(tests, _upToBracket(pieces[i]));
        }
        count = pieces.length - 1;
    }

    /// @dev Where a line's text begins; 0 for the name of a contract and for an empty line.
    function _depth(string memory line) private pure returns (uint256) {
        string[] memory parts = vm.split(line, BRANCH);
        return parts.length == 2 ? bytes(parts[0]).length : 0;
    }

    /// @dev "is signed and relayed" → "IsSignedAndRelayed(".
    function _name(string memory line) private pure returns (string memory name) {
        string[] memory words = vm.split(vm.split(line, BRANCH)[1], " ");
        for (uint256 i = 0; i < words.length; ++i) {
            bytes memory word = bytes(words[i]);
            if (word[0] >= "a" && word[0] <= "z") word[0] = bytes1(uint8(word[0]) - 32);
            name = string.concat(name, string(word));
        }
        return string.concat(name, "(");
    }

    /// @dev Text up to and with its first opening bracket.
    function _upToBracket(string memory text) private pure returns (string memory) {
        uint256 length = vm.indexOf(text, "(") + 1;
        bytes memory head = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            head[i] = bytes(text)[i];
        }
        return string(head);
    }
}
