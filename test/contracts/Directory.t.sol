// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {IDirectory} from "../../contracts/interfaces/IDirectory.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IRecordRegistry} from "../../contracts/interfaces/IRecordRegistry.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Base} from "./Base.t.sol";

contract DirectoryTest is Base {
    bytes32 private constant NAME = Codes.RECORD_REGISTRY;

    function _unauthorized(address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, who);
    }

    // ── what the deployment leaves behind ──

    function test_EveryModuleIsNamedAndKnowsDirectory() public view {
        bytes32[] memory names = _modules();
        for (uint256 i = 0; i < names.length; ++i) {
            address module = directory.addressOf(names[i]);
            assertGt(module.code.length, 0);
            assertEq(address(IModuleView(module).DIRECTORY()), address(directory));
            assertEq(IAccessManaged(module).authority(), address(manager));
        }
    }

    function test_TheDeployerKeepsNothing() public view {
        for (uint64 role = 0; role <= 18; ++role) {
            (bool member,) = manager.hasRole(role, address(this));
            assertFalse(member);
        }
        (bool isAdmin,) = manager.hasRole(Roles.ADMIN_ROLE, admin);
        (bool founder,) = manager.hasRole(Roles.FOUNDER_ROLE, admin);
        assertTrue(isAdmin);
        assertFalse(founder);
    }

    function test_TheDayIsBounded() public {
        bytes memory code = _codeOf("Directory");
        _expect(_outOfBounds(239, 240, 86_400));
        this.create(bytes.concat(code, abi.encode(manager, 239)));
        _expect(_outOfBounds(86_401, 240, 86_400));
        this.create(bytes.concat(code, abi.encode(manager, 86_401)));
        assertEq(this.create(bytes.concat(code, abi.encode(manager, 240))).DAY(), 240);
    }

    /// @dev Creates a Directory, and passes on why it could not be.
    function create(bytes memory code) external returns (IDirectory created) {
        assembly {
            created := create(0, add(code, 32), mload(code))
            if iszero(created) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    // ── set ──

    function test_SetAppendsAVersion() public {
        vm.roll(100);
        vm.expectEmit(address(directory));
        emit IDirectory.DirectorySet(NAME, address(manager), 2);
        vm.prank(admin);
        directory.set(NAME, address(manager));

        assertEq(directory.addressOf(NAME), address(manager));
        assertEq(directory.addressAt(NAME, 99), address(records));
        assertEq(directory.addressAt(NAME, 100), address(manager));
        assertEq(directory.addressAt(NAME, 0), address(0));
        IDirectory.Entry[] memory list = directory.history(NAME);
        assertEq(list.length, 2);
        assertEq(list[0].version, 1);
        assertEq(list[1].sinceBlock, 100);
    }

    function test_SetRefusesAnAccountWithoutCode() public {
        _expect(abi.encodeWithSelector(IDirectory.NoCode.selector, stranger));
        vm.prank(admin);
        directory.set(NAME, stranger);
        _expect(_unknown(0));
        vm.prank(admin);
        directory.set(0, address(manager));
    }

    function test_OnlyTheRightRoleMaySetStopResume() public {
        _expect(_unauthorized(guardian));
        vm.prank(guardian);
        directory.set(NAME, address(manager));
        _expect(_unauthorized(admin));
        vm.prank(admin);
        directory.stop(NAME);
        _expect(_unauthorized(guardian));
        vm.prank(guardian);
        directory.resume(NAME);
    }

    function test_AnUnknownNameHasNoAddress() public view {
        assertEq(directory.addressOf("Nobody"), address(0));
        assertEq(directory.addressAt("Nobody", 1), address(0));
        assertEq(directory.history("Nobody").length, 0);
    }

    function test_AModuleNotNamedIsUnknown() public {
        IDirectory empty = this.create(bytes.concat(_codeOf("Directory"), abi.encode(manager, DAY)));
        bytes memory code = bytes.concat(_codeOf("RecordRegistry"), abi.encode(manager, empty));
        IRecordRegistry lone = IRecordRegistry(address(this.create(code)));
        _expect(_unknown(Codes.KEY_REGISTRY));
        lone.anchor(NORTH, 1, 0, "root", 4, 1);
    }

    // ── stop and resume ──

    function test_AStopLastsADayAndPausesForFourteen() public {
        uint64 until = START + DAY;
        vm.expectEmit(address(directory));
        emit IDirectory.ModuleStopped(NAME, until);
        vm.prank(guardian);
        directory.stop(NAME);
        assertEq(directory.stoppedUntil(NAME), until);

        uint64 notBefore = until + 14 * DAY;
        vm.warp(notBefore - 1);
        _expect(abi.encodeWithSelector(IErrors.TooEarly.selector, notBefore));
        vm.prank(guardian);
        directory.stop(NAME);

        vm.warp(notBefore);
        vm.prank(guardian);
        directory.stop(NAME);
        assertEq(directory.stoppedUntil(NAME), notBefore + DAY);
    }

    function test_ResumeEndsAStop() public {
        vm.prank(guardian);
        directory.stop(NAME);
        vm.warp(START + 60);
        vm.expectEmit(address(directory));
        emit IDirectory.ModuleResumed(NAME);
        vm.prank(admin);
        directory.resume(NAME);
        assertEq(directory.stoppedUntil(NAME), START + 60);

        _expect(abi.encodeWithSelector(IDirectory.NotStopped.selector, NAME));
        vm.prank(admin);
        directory.resume(NAME);
    }

    function test_AnUnknownNameCannotBeStopped() public {
        _expect(_unknown("Nobody"));
        vm.prank(guardian);
        directory.stop("Nobody");
    }
}

interface IModuleView {
    function DIRECTORY() external view returns (IDirectory);
}
