// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {CommonBase} from "forge-std/Base.sol";

import {IDirectory} from "../interfaces/IDirectory.sol";
import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {Codes} from "../libraries/Codes.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title How the set of contracts comes to life: created, named, wired, founded, handed over.
/// @notice The same steps on a chain (`Deploy.s.sol`), in tests (`test/contracts/Base.t.sol`) and
/// in a genesis (`genesis.rs`, which calls the same constructors and functions at fixed addresses).
/// Who may call what is one table, `contracts/deploy/roles.tsv`.
abstract contract Deployment is CommonBase {
    /// @notice Who holds what once the set stands.
    /// @param admin ADMIN and GOVERNANCE: one named account until a Council decides in its place.
    /// @param guardian GUARDIAN: may stop opening acts for a day.
    struct Holders {
        address admin;
        address guardian;
    }

    string private constant ROLES = "contracts/deploy/roles.tsv";

    AccessManager internal manager;
    IDirectory internal directory;

    /// @dev The modules in the order in which they are created.
    function _modules() internal pure returns (bytes32[10] memory) {
        return [
            Codes.INSTITUTION_REGISTRY,
            Codes.KEY_REGISTRY,
            Codes.RECORD_REGISTRY,
            Codes.DATASET_CATALOG,
            Codes.ACCESS_REGISTRY,
            Codes.DELIVERY_LEDGER,
            Codes.SUPERVISION,
            Codes.SANCTIONS,
            Codes.CREDIBILITY,
            Codes.INCENTIVES
        ];
    }

    /// @dev Creation code of a contract, without constructor arguments.
    function _codeOf(string memory name) internal view virtual returns (bytes memory);

    /// @dev All steps, as `deployer`, who holds nothing at the end unless it is one of the holders.
    function _deploy(
        address deployer,
        Holders memory holders,
        uint64 day,
        IInstitutionRegistry.Application[] memory founders,
        uint8 tier
    ) internal {
        _create(deployer, day);
        _assignFunctions();
        _grantMembers();

        manager.grantRole(Roles.GOVERNANCE_ROLE, deployer, 0);
        manager.grantRole(Roles.FOUNDER_ROLE, deployer, 0);
        _found(founders, tier);
        manager.revokeRole(Roles.FOUNDER_ROLE, deployer);
        _handOver(deployer, holders);
    }

    /// @dev Creates the AccessManager, Directory and modules. Each module has the same constructor.
    function _create(address deployer, uint64 day) private {
        manager = AccessManager(_new("AccessManager", abi.encode(deployer)));
        directory = IDirectory(_new("Directory", abi.encode(manager, day)));
        // Naming needs GOVERNANCE; `_assignFunctions` has not run, so ADMIN, who deploys, may do
        // it.
        bytes32[10] memory names = _modules();
        for (uint256 i = 0; i < names.length; ++i) {
            address module = _new(_text(names[i]), abi.encode(manager, directory));
            directory.set(names[i], module);
        }
    }

    /// @dev Rows `function`: which role may call what is restricted.
    function _assignFunctions() private {
        for (string[] memory row = _row(); row.length != 0; row = _row()) {
            if (!_equal(row[0], "function")) continue;
            bytes4[] memory selectors = new bytes4[](1);
            selectors[0] = bytes4(keccak256(bytes(row[2])));
            // Cast: role ids are small numbers.
            manager.setTargetFunctionRole(_addressOf(row[1]), selectors, _role(row[3]));
        }
    }

    /// @dev Rows `member`: which module holds which role.
    function _grantMembers() private {
        for (string[] memory row = _row(); row.length != 0; row = _row()) {
            if (_equal(row[0], "member")) manager.grantRole(_role(row[3]), _addressOf(row[1]), 0);
        }
    }

    function _found(IInstitutionRegistry.Application[] memory founders, uint8 tier) private {
        IInstitutionRegistry(directory.addressOf(Codes.INSTITUTION_REGISTRY)).found(founders, tier);
    }

    function _handOver(address deployer, Holders memory holders) private {
        manager.grantRole(Roles.GUARDIAN_ROLE, holders.guardian, 0);
        if (holders.admin == deployer) return;
        manager.grantRole(Roles.GOVERNANCE_ROLE, holders.admin, 0);
        manager.grantRole(Roles.ADMIN_ROLE, holders.admin, 0);
        manager.renounceRole(Roles.GOVERNANCE_ROLE, deployer);
        manager.renounceRole(Roles.ADMIN_ROLE, deployer);
    }

    // ── helpers ──

    function _new(string memory name, bytes memory arguments) private returns (address created) {
        bytes memory code = bytes.concat(_codeOf(name), arguments);
        assembly ("memory-safe") {
            created := create(0, add(code, 32), mload(code))
        }
        require(created != address(0), string.concat("cannot create ", name));
    }

    function _addressOf(string memory name) private view returns (address) {
        if (_equal(name, "Directory")) return address(directory);
        address module = directory.addressOf(bytes32(bytes(name)));
        require(module != address(0), string.concat(ROLES, " names an unknown contract: ", name));
        return module;
    }

    /// @dev The next row of the table that is no comment; empty at its end, where reading starts
    /// anew.
    function _row() private returns (string[] memory columns) {
        while (true) {
            string memory line = vm.readLine(ROLES);
            if (bytes(line).length == 0) {
                vm.closeFile(ROLES);
                return columns;
            }
            if (bytes(line)[0] == "#") continue;
            columns = vm.split(line, "\t");
            require(columns.length == 4, string.concat(ROLES, " needs four columns: ", line));
            return columns;
        }
    }

    function _role(string memory id) private pure returns (uint64) {
        // Cast: role ids are small numbers.
        return uint64(vm.parseUint(id));
    }

    function _text(bytes32 name) internal pure returns (string memory) {
        uint256 length = 0;
        while (length < 32 && name[length] != 0) ++length;
        bytes memory text = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            text[i] = name[i];
        }
        return string(text);
    }

    function _equal(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }
}
