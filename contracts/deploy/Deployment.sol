// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {CommonBase} from "forge-std/Base.sol";

import {IDirectory} from "../interfaces/IDirectory.sol";
import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {Codes} from "../libraries/Codes.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title How the set of contracts comes to life: created, named, wired, founded, handed over.
/// @notice The same steps on a chain (`Deploy.s.sol`), in tests (`test/contracts/Base.t.sol`) and
/// in a genesis (`genesis.rs`, which calls the same constructors and functions at fixed addresses;
/// `test/contracts/Genesis.t.sol` compares). Who may call what is one table,
/// `contracts/deploy/roles.tsv`.
abstract contract Deployment is CommonBase {
    /// @notice Who holds what once the set stands.
    /// @param admin Holder of ADMIN and GOVERNANCE: 0 for the timelock, which only votes of the
    /// Council move. Anybody else is for tests.
    /// @param guardian GUARDIAN: may stop opening acts for a day, and cancel what the timelock
    /// holds.
    struct Holders {
        address admin;
        address guardian;
    }

    string private constant ROLES = "contracts/deploy/roles.tsv";

    AccessManager internal manager;
    IDirectory internal directory;
    TimelockController internal timelock;

    /// @dev The modules in the order in which they are created; all have the same constructor.
    function _modules() internal pure returns (bytes32[] memory names) {
        names = new bytes32[](19);
        names[0] = Codes.INSTITUTION_REGISTRY;
        names[1] = Codes.KEY_REGISTRY;
        names[2] = Codes.DATA_HUB_REGISTRY;
        names[3] = Codes.RECORD_REGISTRY;
        names[4] = Codes.DATASET_CATALOG;
        names[5] = Codes.CONSENT_REGISTRY;
        names[6] = Codes.ACCESS_REGISTRY;
        names[7] = Codes.CARE_REGISTRY;
        names[8] = Codes.DELIVERY_LEDGER;
        names[9] = Codes.SUPERVISION;
        names[10] = Codes.ARBITRATION;
        names[11] = Codes.SANCTIONS;
        names[12] = Codes.CREDIBILITY;
        names[13] = Codes.INCENTIVES;
        names[14] = Codes.ALGORITHM_REGISTRY;
        names[15] = Codes.COMPUTE_JOBS;
        names[16] = Codes.PRIVACY_LEDGER;
        names[17] = Codes.COUNCIL;
        names[18] = Codes.JUDGE_POOL;
    }

    /// @dev Creation code of a contract, without constructor arguments.
    function _codeOf(string memory name) internal view virtual returns (bytes memory);

    /// @dev Creates a contract; the genesis puts it where its name says.
    function _create(string memory name, bytes memory code)
        internal
        virtual
        returns (address created)
    {
        assembly ("memory-safe") {
            created := create(0, add(code, 32), mload(code))
        }
        require(created != address(0), string.concat("cannot create ", name));
    }

    /// @dev All steps, as `deployer`, who holds nothing at the end.
    function _deploy(
        address deployer,
        Holders memory holders,
        uint64 day,
        IInstitutionRegistry.Application[] memory founders,
        uint8 tier
    ) internal {
        _createAll(deployer, day);
        _assignFunctions();
        _grantMembers();
        manager.grantRole(Roles.FOUNDER_ROLE, deployer, 0);
        IInstitutionRegistry(directory.addressOf(Codes.INSTITUTION_REGISTRY)).found(founders, tier);
        _handOver(deployer, holders, day);
    }

    // ── created and named ──

    /// @dev AccessManager, Directory, modules, timelock, Lens. Naming needs GOVERNANCE, but no
    /// function has a role yet, so that ADMIN, who deploys, may do it.
    function _createAll(address deployer, uint64 day) private {
        manager = AccessManager(_new("AccessManager", abi.encode(deployer)));
        directory = IDirectory(_new("Directory", abi.encode(manager, day)));
        bytes32[] memory names = _modules();
        for (uint256 i = 0; i < names.length; ++i) {
            directory.set(names[i], _new(_text(names[i]), abi.encode(manager, directory)));
        }
        timelock = _newTimelock(deployer, day);
        directory.set(Codes.TIMELOCK_CONTROLLER, address(timelock));
        directory.set(Codes.LENS, _new("Lens", abi.encode(directory)));
    }

    /// @dev Only the Council proposes and executes, so that nothing is done that the Council does
    /// not know of; anybody may have it execute what is ready. The deployer administers until
    /// `_handOver`.
    function _newTimelock(address deployer, uint64 day) private returns (TimelockController) {
        address[] memory council = new address[](1);
        council[0] = directory.addressOf(Codes.COUNCIL);
        uint256 delay = Periods.TIMELOCK_DAYS * day;
        bytes memory arguments = abi.encode(delay, council, council, deployer);
        return TimelockController(payable(_new("TimelockController", arguments)));
    }

    // ── wired ──

    /// @dev Rows `function`: which role may call what is restricted.
    function _assignFunctions() private {
        string[][] memory rows = _rows("function");
        for (uint256 i = 0; i < rows.length; ++i) {
            bytes4[] memory selectors = new bytes4[](1);
            selectors[0] = bytes4(keccak256(bytes(rows[i][2])));
            manager.setTargetFunctionRole(_addressOf(rows[i][1]), selectors, _role(rows[i][3]));
        }
    }

    /// @dev Rows `member`: which module holds which role.
    function _grantMembers() private {
        string[][] memory rows = _rows("member");
        for (uint256 i = 0; i < rows.length; ++i) {
            manager.grantRole(_role(rows[i][3]), _addressOf(rows[i][1]), 0);
        }
    }

    // ── handed over ──

    /// @dev Gives everything to its holders and renounces what the deployer held.
    function _handOver(address deployer, Holders memory holders, uint64 day) private {
        timelock.grantRole(timelock.CANCELLER_ROLE(), holders.guardian);
        timelock.renounceRole(timelock.DEFAULT_ADMIN_ROLE(), deployer);
        manager.grantRole(Roles.GUARDIAN_ROLE, holders.guardian, 0);
        address admin = holders.admin == address(0) ? address(timelock) : holders.admin;
        manager.grantRole(Roles.GOVERNANCE_ROLE, admin, 0);
        manager.grantRole(Roles.ADMIN_ROLE, admin, 0);
        if (holders.admin == address(0)) _delayGrants(day);
        manager.renounceRole(Roles.FOUNDER_ROLE, deployer);
        manager.renounceRole(Roles.ADMIN_ROLE, deployer);
    }

    /// @dev Whoever gains a role later waits for it, after the timelock's own delay. OpenZeppelin
    /// brings these delays into force after 5 d.
    function _delayGrants(uint64 day) private {
        // Cast: at most 2 d.
        uint32 delay = uint32(Periods.TIMELOCK_DAYS * day);
        for (uint64 role = Roles.ADMIN_ROLE; role <= Roles.FOUNDER_ROLE; ++role) {
            manager.setGrantDelay(role, delay);
        }
        for (uint64 role = Roles.REGISTRARS_ROLE; role <= Roles.JOBS_ROLE; ++role) {
            manager.setGrantDelay(role, delay);
        }
        manager.setTargetAdminDelay(address(directory), delay);
        bytes32[] memory names = _modules();
        for (uint256 i = 0; i < names.length; ++i) {
            manager.setTargetAdminDelay(directory.addressOf(names[i]), delay);
        }
    }

    // ── helpers ──

    function _new(string memory name, bytes memory arguments) private returns (address) {
        return _create(name, bytes.concat(_codeOf(name), arguments));
    }

    /// @dev A contract that the table names.
    function _addressOf(string memory name) internal view returns (address) {
        if (_equal(name, "Directory")) return address(directory);
        address module = directory.addressOf(bytes32(bytes(name)));
        require(module != address(0), string.concat(ROLES, " names an unknown contract: ", name));
        return module;
    }

    /// @dev Rows of the table whose first column is `kind`.
    function _rows(string memory kind) internal view returns (string[][] memory rows) {
        string[] memory lines = vm.split(vm.readFile(ROLES), "\n");
        uint256 count = 0;
        rows = new string[][](lines.length);
        for (uint256 i = 0; i < lines.length; ++i) {
            string[] memory row = vm.split(lines[i], "\t");
            if (!_equal(row[0], kind)) continue;
            require(row.length == 4, string.concat(ROLES, " needs four columns: ", lines[i]));
            rows[count++] = row;
        }
        assembly ("memory-safe") {
            mstore(rows, count)
        }
    }

    function _role(string memory id) internal pure returns (uint64) {
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

    function _equal(string memory a, string memory b) internal pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }
}
