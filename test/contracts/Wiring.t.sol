// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {Base} from "./Base.t.sol";

/// @title `contracts/deploy/roles.tsv` says all there is to say about restricted functions.
contract WiringTest is Base {
    // Bytes of the EVM's code: PUSH4 <selector> EQ is how a dispatcher asks for a function.
    bytes1 private constant PUSH4 = 0x63;
    bytes1 private constant EQ = 0x14;

    /// @dev Roles by contract and selector, as the table has them, plus 1.
    mapping(address target => mapping(bytes4 selector => uint256)) private _listed;

    function setUp() public override {
        super.setUp();
        string[][] memory rows = _rows("function");
        for (uint256 i = 0; i < rows.length; ++i) {
            _listed[_addressOf(rows[i][1])][_selector(rows[i])] = vm.parseUint(rows[i][3]) + 1;
        }
    }

    function test_EachRowIsInForceAndRefusesAStranger() public {
        string[][] memory rows = _rows("function");
        assertGt(rows.length, 0);
        for (uint256 i = 0; i < rows.length; ++i) {
            address target = _addressOf(rows[i][1]);
            uint64 role = manager.getTargetFunctionRole(target, _selector(rows[i]));
            assertEq(role, vm.parseUint(rows[i][3]), rows[i][2]);
            assertTrue(_refusesAStranger(target, _selector(rows[i])), rows[i][2]);
        }
    }

    /// @dev Tries every function of every contract: whatever refuses a stranger for want of a role
    /// must stand in the table. `setAuthority` is the AccessManager's own.
    function test_NoRestrictedFunctionIsMissing() public {
        bytes32[] memory names = _modules();
        uint256 found = _tryAll(address(directory));
        for (uint256 i = 0; i < names.length; ++i) {
            found += _tryAll(_at(names[i]));
        }
        assertEq(found, _rows("function").length, "restricted functions in all");
    }

    function test_EachMemberRowIsInForce() public view {
        string[][] memory rows = _rows("member");
        assertGt(rows.length, 0);
        for (uint256 i = 0; i < rows.length; ++i) {
            uint64 role = _role(rows[i][3]);
            (bool member, uint32 delay) = manager.hasRole(role, _addressOf(rows[i][1]));
            assertTrue(member, rows[i][1]);
            assertEq(delay, 0);
        }
    }

    function _selector(string[] memory row) private pure returns (bytes4) {
        return bytes4(keccak256(bytes(row[2])));
    }

    function _tryAll(address target) private returns (uint256 found) {
        bytes memory code = target.code;
        for (uint256 i = 0; i + 5 < code.length; ++i) {
            if (code[i] != PUSH4 || code[i + 5] != EQ) continue;
            bytes4 selector =
                bytes4(abi.encodePacked(code[i + 1], code[i + 2], code[i + 3], code[i + 4]));
            if (selector == IAccessManaged.setAuthority.selector) continue;
            if (!_refusesAStranger(target, selector)) continue;
            string memory what = vm.toString(abi.encodePacked(target, selector));
            assertGt(_listed[target][selector], 0, what);
            ++found;
        }
    }

    /// @dev Calls with zeros for arguments, which every signature here can decode.
    function _refusesAStranger(address target, bytes4 selector) private returns (bool) {
        vm.prank(stranger);
        (bool done, bytes memory answer) = target.call(bytes.concat(selector, new bytes(32 * 32)));
        bytes memory refusal =
            abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger);
        return !done && keccak256(answer) == keccak256(refusal);
    }
}
