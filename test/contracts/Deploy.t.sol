// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Test} from "forge-std/Test.sol";

import {Deploy} from "../../contracts/deploy/Deploy.s.sol";
import {IDirectory} from "../../contracts/interfaces/IDirectory.sol";
import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {IKeyRegistry} from "../../contracts/interfaces/IKeyRegistry.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";

/// @title The deployment script, with the committed code of `contracts/abi`.
contract DeployTest is Test {
    bytes16 private constant NORTH = bytes16(keccak256("msnet dev institution 1"));
    address private constant NORTH_ACCOUNT = 0x70997970C51812dc3A010C7d01b50e0d17dc79C8;

    address private _guardian = makeAddr("guardian");
    string private _file;

    function setUp() public {
        vm.warp(1_800_000_000);
        vm.setEnv("MSNET_GUARDIAN", vm.toString(_guardian));
        vm.setEnv("MSNET_DEPLOYMENT", "target/forge/deployment.test.json");
        vm.createDir("target/forge", true);
        new Deploy().run();
        _file = vm.readFile("target/forge/deployment.test.json");
    }

    function _written(string memory name) private view returns (address) {
        return vm.parseJsonAddress(_file, string.concat(".contracts.", name, ".address"));
    }

    function test_TheFileSaysWhatStandsWhere() public view {
        assertEq(vm.parseJsonUint(_file, ".chainId"), block.chainid);
        assertEq(vm.parseJsonUint(_file, ".startBlock"), block.number);
        IDirectory directory = IDirectory(_written("Directory"));
        string[] memory names = vm.parseJsonKeys(_file, ".contracts");
        assertEq(names.length, 23);
        for (uint256 i = 0; i < names.length; ++i) {
            address target = _written(names[i]);
            address named = directory.addressOf(bytes32(bytes(names[i])));
            bool base = target == address(directory) || target == _written("AccessManager");
            assertEq(named, base ? address(0) : target, names[i]);
            assertGt(target.code.length, 0);
            assertLe(target.code.length, 24_576);
            string memory path = string.concat(".contracts.", names[i], ".codeHash");
            assertEq(vm.parseJsonBytes32(_file, path), target.codehash);
        }
    }

    function test_TheFoundersOfTheDevNetworkAreActive() public view {
        IDirectory directory = IDirectory(_written("Directory"));
        IInstitutionRegistry institutions =
            IInstitutionRegistry(directory.addressOf(Codes.INSTITUTION_REGISTRY));
        IKeyRegistry keys = IKeyRegistry(directory.addressOf(Codes.KEY_REGISTRY));
        assertEq(institutions.electorateAt(uint64(block.timestamp)), 3);
        assertTrue(institutions.isActive(NORTH));
        assertEq(keys.subjectOf(NORTH_ACCOUNT), NORTH);
        assertEq(institutions.institution(NORTH).legalHash, keccak256(abi.encode("msnet:dev", "1")));
    }

    function test_TheTimelockHoldsAdminAndGovernanceAndTheDeployerNothing() public view {
        AccessManager manager = AccessManager(_written("AccessManager"));
        address timelock = _written("TimelockController");
        assertTrue(_has(manager, Roles.ADMIN_ROLE, timelock));
        assertTrue(_has(manager, Roles.GOVERNANCE_ROLE, timelock));
        assertTrue(_has(manager, Roles.GUARDIAN_ROLE, _guardian));
        assertFalse(_has(manager, Roles.GUARDIAN_ROLE, timelock));
        for (uint64 role = 0; role <= Roles.JOBS_ROLE; ++role) {
            assertFalse(_has(manager, role, address(this)));
        }
    }

    function test_OnlyTheCouncilProposesAndEverythingWaitsTwoDays() public view {
        TimelockController timelock = TimelockController(payable(_written("TimelockController")));
        address council = _written("Council");
        assertEq(timelock.getMinDelay(), 2 days);
        assertTrue(timelock.hasRole(timelock.PROPOSER_ROLE(), council));
        assertFalse(timelock.hasRole(timelock.PROPOSER_ROLE(), _guardian));
        assertTrue(timelock.hasRole(timelock.CANCELLER_ROLE(), council));
        assertTrue(timelock.hasRole(timelock.CANCELLER_ROLE(), _guardian));
        assertTrue(timelock.hasRole(timelock.EXECUTOR_ROLE(), council));
        assertFalse(timelock.hasRole(timelock.EXECUTOR_ROLE(), address(0)));
        assertTrue(timelock.hasRole(timelock.DEFAULT_ADMIN_ROLE(), address(timelock)));
        assertFalse(timelock.hasRole(timelock.DEFAULT_ADMIN_ROLE(), address(this)));
    }

    function test_LaterGrantsAndChangesWaitTwoDays() public {
        AccessManager manager = AccessManager(_written("AccessManager"));
        vm.warp(block.timestamp + manager.minSetback());
        for (uint64 role = 0; role <= Roles.JOBS_ROLE; ++role) {
            bool used = role <= Roles.FOUNDER_ROLE || role >= Roles.REGISTRARS_ROLE;
            assertEq(manager.getRoleGrantDelay(role), used ? 2 days : 0);
        }
        assertEq(manager.getTargetAdminDelay(_written("Directory")), 2 days);
        assertEq(manager.getTargetAdminDelay(_written("ComputeJobs")), 2 days);
    }

    function _has(AccessManager manager, uint64 role, address account)
        private
        view
        returns (bool member)
    {
        (member,) = manager.hasRole(role, account);
    }
}
