// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Script} from "forge-std/Script.sol";

import {Deployment} from "./Deployment.sol";
import {Founders} from "./Founders.sol";

/// @title Puts the set of contracts onto a chain that has Cancun's opcodes.
/// @notice Creates exactly the code committed in `contracts/abi`, the same that a genesis made by
/// msnet contains, and writes down where everything stands.
///
/// ```sh
/// .ci/forge script contracts/deploy/Deploy.s.sol --rpc-url http://127.0.0.1:8545 --broadcast
/// --private-key $KEY ```
///
/// | environment      | meaning                                        | unless given
/// |
/// |------------------|------------------------------------------------|---------------------------------|
/// | MSNET_ADMIN      | account that holds ADMIN and GOVERNANCE        | the account that deploys
/// | | MSNET_GUARDIAN   | account that may stop a module for a day       | the account that deploys
/// |
/// | MSNET_FOUNDERS   | file of the first institutions                 |
/// `contracts/deploy/founders.dev.json` | | MSNET_DAY_SECS   | seconds in a day, ≥ 240; less than
/// 86 400 for a demonstration only | 86 400 |
/// | MSNET_DEPLOYMENT | file to write, under `target/forge`            |
/// `target/forge/deployment.json`  |
contract Deploy is Script, Deployment {
    function run() external {
        Holders memory holders;
        holders.admin = vm.envOr("MSNET_ADMIN", msg.sender);
        holders.guardian = vm.envOr("MSNET_GUARDIAN", msg.sender);
        uint256 day = vm.envOr("MSNET_DAY_SECS", uint256(86_400));
        string memory founders =
            vm.envOr("MSNET_FOUNDERS", string("contracts/deploy/founders.dev.json"));
        uint256 startBlock = block.number;

        vm.startBroadcast(msg.sender);
        // Cast: a number that does not fit is refused by Directory as out of bounds.
        _deploy(msg.sender, holders, uint64(day), Founders.read(vm, founders), Founders.TIER);
        vm.stopBroadcast();

        _write(startBlock);
    }

    /// @dev `{chainId, startBlock, contracts: {<Name>: {address, codeHash}}}`.
    function _write(uint256 startBlock) private {
        string memory contracts = _entry("AccessManager", address(manager));
        contracts = _entry("Directory", address(directory));
        bytes32[10] memory names = _modules();
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
