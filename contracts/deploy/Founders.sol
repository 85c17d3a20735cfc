// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";

/// @title Reads a file of founders, the same that `msnet genesis --founders` reads.
/// @notice A JSON array; each entry has id, kind, group, legal_scheme and legal_value (a public
/// register and the number there), name, endpoint, account.
library Founders {
    /// @notice Institutions founded together count as accredited.
    uint8 internal constant TIER = 2;

    function read(Vm vm, string memory path)
        internal
        view
        returns (IInstitutionRegistry.Application[] memory list)
    {
        string memory json = vm.readFile(path);
        uint256 count = 0;
        while (vm.keyExistsJson(json, _at(vm, count, ""))) ++count;
        list = new IInstitutionRegistry.Application[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = _application(vm, json, i);
        }
    }

    function _application(Vm vm, string memory json, uint256 i)
        private
        pure
        returns (IInstitutionRegistry.Application memory a)
    {
        string memory scheme = vm.parseJsonString(json, _at(vm, i, ".legal_scheme"));
        string memory value = vm.parseJsonString(json, _at(vm, i, ".legal_value"));
        // Casts: the file's numbers are kinds and groups; a wrong one is refused by `found`.
        a.id = bytes16(vm.parseJsonBytes(json, _at(vm, i, ".id")));
        a.kind = uint8(vm.parseJsonUint(json, _at(vm, i, ".kind")));
        a.group = uint32(vm.parseJsonUint(json, _at(vm, i, ".group")));
        a.legalHash = keccak256(abi.encode(scheme, value));
        a.name = vm.parseJsonString(json, _at(vm, i, ".name"));
        a.endpoint = vm.parseJsonString(json, _at(vm, i, ".endpoint"));
        a.account = vm.parseJsonAddress(json, _at(vm, i, ".account"));
        a.salt = keccak256(abi.encodePacked(a.id));
    }

    function _at(Vm vm, uint256 i, string memory field) private pure returns (string memory) {
        return string.concat("$[", vm.toString(i), "]", field);
    }
}
