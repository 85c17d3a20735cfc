// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
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

    address private _admin = makeAddr("admin");
    address private _guardian = makeAddr("guardian");
    string private _file;

    function setUp() public {
        vm.warp(1_800_000_000);
        vm.setEnv("MSNET_ADMIN", vm.toString(_admin));
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
        string[10] memory names = [
            "InstitutionRegistry",
            "KeyRegistry",
            "RecordRegistry",
            "DatasetCatalog",
            "AccessRegistry",
            "DeliveryLedger",
            "Supervision",
            "Sanctions",
            "Credibility",
            "Incentives"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            address module = _written(names[i]);
            assertEq(directory.addressOf(bytes32(bytes(names[i]))), module);
            assertGt(module.code.length, 0);
            assertLe(module.code.length, 24_576);
            string memory path = string.concat(".contracts.", names[i], ".codeHash");
            assertEq(vm.parseJsonBytes32(_file, path), module.codehash);
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

    function test_AdminAndGuardianHoldTheirRolesAndTheDeployerNone() public view {
        AccessManager manager = AccessManager(_written("AccessManager"));
        assertTrue(_has(manager, Roles.ADMIN_ROLE, _admin));
        assertTrue(_has(manager, Roles.GOVERNANCE_ROLE, _admin));
        assertTrue(_has(manager, Roles.GUARDIAN_ROLE, _guardian));
        for (uint64 role = 0; role <= 17; ++role) {
            assertFalse(_has(manager, role, address(this)));
        }
    }

    function _has(AccessManager manager, uint64 role, address account)
        private
        view
        returns (bool member)
    {
        (member,) = manager.hasRole(role, account);
    }
}
