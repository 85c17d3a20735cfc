// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {VmSafe} from "forge-std/Vm.sol";

import {Deployment} from "../../contracts/deploy/Deployment.sol";
import {Founders} from "../../contracts/deploy/Founders.sol";

/// @title The steps of `Deployment`, taken where a genesis puts the contracts, leave exactly what
/// `contracts/networks/dev.json` holds: every byte of code, every slot of storage, nothing else.
contract GenesisTest is Test, Deployment {
    string private constant NETWORK = "contracts/networks/dev.json";
    address private constant FOUNDER = 0x4d534E45540000000000000000000000000000FF;
    address private constant GUARDIAN = 0xa0Ee7A142d267C1f36714E4a8F75612F20a79720;

    string private _network;
    mapping(string name => address) private _place;
    address[] private _places;

    function setUp() public {
        _network = vm.readFile(NETWORK);
        string[23] memory names = [
            "AccessManager",
            "TimelockController",
            "Directory",
            "Council",
            "Lens",
            "InstitutionRegistry",
            "KeyRegistry",
            "DataHubRegistry",
            "RecordRegistry",
            "DatasetCatalog",
            "ConsentRegistry",
            "AccessRegistry",
            "DeliveryLedger",
            "CareRegistry",
            "Supervision",
            "Arbitration",
            "Sanctions",
            "Credibility",
            "Incentives",
            "JudgePool",
            "AlgorithmRegistry",
            "ComputeJobs",
            "PrivacyLedger"
        ];
        uint16[23] memory suffixes = [
            0x0001,
            0x0002,
            0x0003,
            0x0004,
            0x0005,
            0x0101,
            0x0102,
            0x0103,
            0x0201,
            0x0202,
            0x0203,
            0x0301,
            0x0302,
            0x0303,
            0x0401,
            0x0402,
            0x0403,
            0x0404,
            0x0405,
            0x0406,
            0x0501,
            0x0502,
            0x0503
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            address place = address(uint160(0x4D534E4554) << 120 | suffixes[i]);
            _place[names[i]] = place;
            _places.push(place);
        }
    }

    function test_TheScriptAndTheGenesisAgreeToTheLastSlot() public {
        vm.chainId(vm.parseJsonUint(_network, ".config.chainId"));
        vm.warp(vm.parseJsonUint(_network, ".timestamp"));
        vm.roll(0);
        vm.startStateDiffRecording();
        vm.startPrank(FOUNDER);
        _deploy(
            FOUNDER,
            Holders(address(0), GUARDIAN),
            86_400,
            Founders.read(vm, "contracts/deploy/founders.dev.json"),
            Founders.TIER
        );
        vm.stopPrank();
        VmSafe.AccountAccess[] memory accesses = vm.stopAndReturnStateDiff();

        uint256 slots = 0;
        for (uint256 i = 0; i < _places.length; ++i) {
            slots += _agrees(_places[i]);
        }
        assertGt(slots, 150, "slots compared");
        _holdsEveryWrite(accesses);
    }

    /// @dev Code and listed storage of one account.
    function _agrees(address place) private view returns (uint256 slots) {
        string memory account = string.concat(".alloc['", vm.toLowercase(vm.toString(place)), "']");
        bytes memory code = vm.parseJsonBytes(_network, string.concat(account, ".code"));
        assertEq(keccak256(place.code), keccak256(code), vm.toString(place));
        string memory storage_ = string.concat(account, ".storage");
        if (!vm.keyExistsJson(_network, storage_)) return 0;
        string[] memory keys = vm.parseJsonKeys(_network, storage_);
        for (uint256 i = 0; i < keys.length; ++i) {
            bytes32 want =
                vm.parseJsonBytes32(_network, string.concat(storage_, "['", keys[i], "']"));
            assertEq(vm.load(place, vm.parseBytes32(keys[i])), want, keys[i]);
        }
        return keys.length;
    }

    /// @dev No slot was written here that the file does not have.
    function _holdsEveryWrite(VmSafe.AccountAccess[] memory accesses) private view {
        for (uint256 i = 0; i < accesses.length; ++i) {
            VmSafe.StorageAccess[] memory touched = accesses[i].storageAccesses;
            for (uint256 j = 0; j < touched.length; ++j) {
                if (!touched[j].isWrite || touched[j].reverted) continue;
                if (vm.load(touched[j].account, touched[j].slot) == 0) continue;
                string memory place = vm.toLowercase(vm.toString(touched[j].account));
                string memory key = string.concat(
                    ".alloc['", place, "'].storage['", vm.toString(touched[j].slot), "']"
                );
                assertTrue(vm.keyExistsJson(_network, key), key);
            }
        }
    }

    /// @dev Runs a constructor at its place, as the genesis does.
    function _create(string memory name, bytes memory code) internal override returns (address) {
        address place = _place[name];
        require(place != address(0), string.concat("no place for ", name));
        vm.etch(place, code);
        (bool done, bytes memory runtime) = place.call("");
        require(done, string.concat("the constructor failed: ", name));
        vm.etch(place, runtime);
        return place;
    }

    /// @inheritdoc Deployment
    function _codeOf(string memory name) internal view override returns (bytes memory) {
        return
            vm.parseJsonBytes(
                vm.readFile(string.concat("contracts/abi/", name, ".json")), ".bytecode"
            );
    }
}
