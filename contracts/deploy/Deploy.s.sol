// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {Script} from "forge-std/Script.sol";
import {Vm} from "forge-std/Vm.sol";

import {Roles} from "../libraries/Roles.sol";
import {Deployment} from "./Deployment.sol";
import {Founders} from "./Founders.sol";

/// @title Puts the set of contracts onto a chain that has Cancun's opcodes.
/// @notice Creates exactly the code committed in `contracts/abi`, the same that a genesis made by
/// msnet contains, hands everything to the timelock, and writes down where everything stands.
///
/// ```sh
/// .ci/forge script contracts/deploy/Deploy.s.sol --rpc-url http://127.0.0.1:8545 \
///   --broadcast --private-key $KEY
/// ```
///
/// - `MSNET_GUARDIAN`: account that may stop a module for a day; the one that deploys unless given.
/// - `MSNET_FOUNDERS`: file of the first institutions; `contracts/deploy/founders.dev.json`.
/// - `MSNET_DAY_SECS`: seconds in a day, 86 400; less, at least 240, for a demonstration only.
/// - `MSNET_DEPLOYMENT`: file to write, under `target/forge`; `target/forge/deployment.json`.
contract Deploy is Script, Deployment {
    function run() external {
        Holders memory holders;
        holders.guardian = vm.envOr("MSNET_GUARDIAN", msg.sender);
        uint256 day = vm.envOr("MSNET_DAY_SECS", uint256(86_400));
        string memory founders =
            vm.envOr("MSNET_FOUNDERS", string("contracts/deploy/founders.dev.json"));
        uint256 startBlock = block.number;

        vm.recordLogs();
        vm.startBroadcast(msg.sender);
        // Cast: a number that does not fit is refused by Directory as out of bounds.
        _deploy(msg.sender, holders, uint64(day), Founders.read(vm, founders), Founders.TIER);
        vm.stopBroadcast();

        _requireHandedOver(msg.sender, holders.guardian, vm.getRecordedLogs());
        _write(startBlock);
    }

    /// @dev Reads from its own logs who was granted a role. Nobody may hold one but the modules as
    /// the table says, the timelock ADMIN and GOVERNANCE, and the guardian GUARDIAN.
    function _requireHandedOver(address deployer, address guardian, Vm.Log[] memory logs)
        private
        view
    {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter != address(manager)) continue;
            if (logs[i].topics[0] != IAccessManager.RoleGranted.selector) continue;
            // Casts: as the event has them.
            uint64 role = uint64(uint256(logs[i].topics[1]));
            address account = address(uint160(uint256(logs[i].topics[2])));
            (bool member,) = manager.hasRole(role, account);
            if (!member) continue;
            require(
                _mayHold(role, account, guardian),
                string.concat(vm.toString(account), " holds role ", vm.toString(uint256(role)))
            );
        }
        require(
            !timelock.hasRole(timelock.DEFAULT_ADMIN_ROLE(), deployer),
            "the deployer administers the timelock"
        );
    }

    function _mayHold(uint64 role, address account, address guardian) private view returns (bool) {
        if (role <= Roles.GOVERNANCE_ROLE) return account == address(timelock);
        if (role == Roles.GUARDIAN_ROLE) return account == guardian;
        if (role == Roles.FOUNDER_ROLE) return false;
        string[][] memory rows = _rows("member");
        for (uint256 i = 0; i < rows.length; ++i) {
            if (_role(rows[i][3]) == role && _addressOf(rows[i][1]) == account) return true;
        }
        return false;
    }

    /// @dev `{chainId, startBlock, contracts: {<Name>: {address, codeHash}}}`.
    function _write(uint256 startBlock) private {
        string memory contracts = _entry("AccessManager", address(manager));
        contracts = _entry("TimelockController", address(timelock));
        contracts = _entry("Directory", address(directory));
        contracts = _entry("Lens", directory.addressOf("Lens"));
        bytes32[] memory names = _modules();
        for (uint256 i = 0; i < names.length; ++i) {
            contracts = _entry(_text(names[i]), directory.addressOf(names[i]));
        }
        vm.serializeUint("deployment", "chainId", block.chainid);
        vm.serializeUint("deployment", "startBlock", startBlock);
        string memory json = vm.serializeString("deployment", "contracts", contracts);
        vm.writeJson(json, vm.envOr("MSNET_DEPLOYMENT", string("target/forge/deployment.json")));
    }

    function _entry(string memory name, address target) private returns (string memory) {
        vm.serializeAddress(name, "address", target);
        string memory entry = vm.serializeBytes32(name, "codeHash", target.codehash);
        return vm.serializeString("contracts", name, entry);
    }

    /// @inheritdoc Deployment
    function _codeOf(string memory name) internal view override returns (bytes memory) {
        return
            vm.parseJsonBytes(
                vm.readFile(string.concat("contracts/abi/", name, ".json")), ".bytecode"
            );
    }
}
