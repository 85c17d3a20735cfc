// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IDatasetCatalog} from "../../contracts/interfaces/IDatasetCatalog.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Base} from "./Base.t.sol";

contract DatasetCatalogTest is Base {
    bytes16 private constant ID = bytes16(keccak256("dataset"));
    bytes32 private constant DESCRIPTOR = keccak256("descriptor");
    uint32 private constant GRU_IRB = Codes.DUO_GRU | Codes.DUO_IRB;
    uint32 private constant HMB_IRB = Codes.DUO_HMB | Codes.DUO_IRB;
    uint256 private constant CATEGORIES = 1 << 8 | 1 << 32 | 1 << 79;

    function _publish() private {
        vm.prank(north.addr);
        catalog.publish(ID, NORTH, DESCRIPTOR, GRU_IRB, CATEGORIES, 2, 11, 3);
    }

    function _setStatus(uint8 status) private {
        vm.prank(north.addr);
        catalog.setStatus(ID, status);
    }

    // ── publish ──

    function test_PublishStoresAndTellsAll() public {
        vm.expectEmit(address(catalog));
        emit IDatasetCatalog.DatasetPublished(ID, NORTH, DESCRIPTOR, GRU_IRB, CATEGORIES, 2, 11, 3);
        _publish();
        IDatasetCatalog.Dataset memory d = catalog.dataset(ID);
        assertEq(d.owner, NORTH);
        assertEq(d.descriptorHash, DESCRIPTOR);
        assertEq(d.duo, GRU_IRB);
        assertEq(d.categories, CATEGORIES);
        assertEq(d.tier, 2);
        assertEq(d.minCohort, 11);
        assertEq(d.modes, 3);
        assertEq(d.version, 1);
        assertEq(uint8(d.status), 1);
    }

    function test_PublishRefusesATakenId() public {
        _publish();
        _expect(_exists(ID));
        vm.prank(south.addr);
        catalog.publish(ID, SOUTH, DESCRIPTOR, GRU_IRB, 0, 2, 11, 3);
        _expect(_exists(0));
        vm.prank(south.addr);
        catalog.publish(0, SOUTH, DESCRIPTOR, GRU_IRB, 0, 2, 11, 3);
    }

    function test_PublishRefusesBadTerms() public {
        vm.startPrank(north.addr);
        uint32[4] memory duos = [uint32(0), Codes.DUO_IRB, 3, 1 | 1 << 23];
        for (uint256 i = 0; i < duos.length; ++i) {
            _expect(abi.encodeWithSelector(IDatasetCatalog.BadDuo.selector, duos[i]));
            catalog.publish(ID, NORTH, DESCRIPTOR, duos[i], 0, 2, 11, 3);
        }
        uint256[3] memory categories = [uint256(1 << 22), 1 << 31, 1 << 80];
        for (uint256 i = 0; i < categories.length; ++i) {
            _expect(abi.encodeWithSelector(IDatasetCatalog.BadCategories.selector, categories[i]));
            catalog.publish(ID, NORTH, DESCRIPTOR, GRU_IRB, categories[i], 2, 11, 3);
        }
        _expect(_outOfBounds(0, 1, 3));
        catalog.publish(ID, NORTH, DESCRIPTOR, GRU_IRB, 0, 0, 11, 3);
        _expect(_outOfBounds(4, 1, 3));
        catalog.publish(ID, NORTH, DESCRIPTOR, GRU_IRB, 0, 4, 11, 3);
        _expect(_outOfBounds(10, 11, type(uint16).max));
        catalog.publish(ID, NORTH, DESCRIPTOR, GRU_IRB, 0, 2, 10, 3);
        _expect(_outOfBounds(0, 1, 7));
        catalog.publish(ID, NORTH, DESCRIPTOR, GRU_IRB, 0, 2, 11, 0);
        _expect(_outOfBounds(8, 1, 7));
        catalog.publish(ID, NORTH, DESCRIPTOR, GRU_IRB, 0, 2, 11, 8);
    }

    function test_OnlyAStewardOfTheOwnerPublishesRevisesAndSets() public {
        (, Vm.Wallet memory steward) = _staff(north, NORTH, "steward", Roles.STEWARD);
        (, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.ALL & ~Roles.STEWARD);
        vm.prank(steward.addr);
        catalog.publish(ID, NORTH, DESCRIPTOR, GRU_IRB, 0, 2, 11, 3);

        address[2] memory others = [clerk.addr, south.addr];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.startPrank(others[i]);
            _expect(_notParty(NORTH, others[i]));
            catalog.publish("new", NORTH, DESCRIPTOR, GRU_IRB, 0, 2, 11, 3);
            _expect(_notParty(NORTH, others[i]));
            catalog.revise(ID, DESCRIPTOR, GRU_IRB, 0, 2, 11, 3);
            _expect(_notParty(NORTH, others[i]));
            catalog.setStatus(ID, 2);
            vm.stopPrank();
        }
    }

    function test_PublishIsAnOpeningAct() public {
        vm.prank(guardian);
        directory.stop(Codes.DATASET_CATALOG);
        _expect(
            abi.encodeWithSelector(IErrors.Stopped.selector, Codes.DATASET_CATALOG, START + DAY)
        );
        _publish();
        vm.prank(admin);
        directory.resume(Codes.DATASET_CATALOG);
        _publish();

        vm.prank(guardian);
        _expect(abi.encodeWithSelector(IErrors.TooEarly.selector, START + 14 * DAY));
        directory.stop(Codes.DATASET_CATALOG);
    }

    // ── revise ──

    function test_ReviseRaisesTheVersion() public {
        _publish();
        bytes32 another = keccak256("another");
        vm.expectEmit(address(catalog));
        emit IDatasetCatalog.DatasetRevised(ID, 2, another, Codes.DUO_DS, 1, 3, 20, 1);
        vm.prank(north.addr);
        catalog.revise(ID, another, Codes.DUO_DS, 1, 3, 20, 1);
        IDatasetCatalog.Dataset memory d = catalog.dataset(ID);
        assertEq(d.version, 2);
        assertEq(d.minCohort, 20);
        assertEq(d.owner, NORTH);

        _expect(_outOfBounds(19, 20, type(uint16).max));
        vm.prank(north.addr);
        catalog.revise(ID, another, Codes.DUO_DS, 1, 3, 19, 1);
    }

    function test_ReviseKeepsAPauseAndRefusesARetiredDataset() public {
        _publish();
        _setStatus(2);
        vm.prank(north.addr);
        catalog.revise(ID, DESCRIPTOR, GRU_IRB, 0, 2, 11, 3);
        assertEq(uint8(catalog.dataset(ID).status), 2);
        _setStatus(3);
        _expect(_wrongState(ID, 3, 1));
        vm.prank(north.addr);
        catalog.revise(ID, DESCRIPTOR, GRU_IRB, 0, 2, 11, 3);
    }

    function test_AnUnknownDatasetIsNamed() public {
        _expect(_unknown(ID));
        vm.prank(north.addr);
        catalog.revise(ID, DESCRIPTOR, GRU_IRB, 0, 2, 11, 3);
        _expect(_unknown(ID));
        _setStatus(2);
        assertEq(uint8(catalog.dataset(ID).status), 0);
    }

    // ── setStatus: Live ⇄ Paused → Retired ──

    function test_TheArrowsOfStatus() public {
        _publish();
        _expect(_wrongState(ID, 1, 2));
        _setStatus(1);
        _expect(_wrongState(ID, 1, 2));
        _setStatus(3);

        vm.expectEmit(address(catalog));
        emit IDatasetCatalog.DatasetStatusSet(ID, IDatasetCatalog.Status.Paused);
        _setStatus(2);
        _expect(_wrongState(ID, 2, 1));
        _setStatus(2);
        _setStatus(1);
        _setStatus(2);
        _setStatus(3);
        for (uint8 status = 1; status <= 3; ++status) {
            _expect(_wrongState(ID, 3, status == 2 ? 1 : 2));
            _setStatus(status);
        }
        _expect(_outOfBounds(0, 1, 3));
        _setStatus(0);
        _expect(_outOfBounds(4, 1, 3));
        _setStatus(4);
    }

    // ── compatible ──

    function test_CompatibleAsksForModePurposeAndDuo() public {
        assertFalse(catalog.compatible(ID, 5, HMB_IRB, 1));
        _publish();
        assertTrue(catalog.compatible(ID, 5, HMB_IRB, 1));
        assertTrue(catalog.compatible(ID, 5, HMB_IRB, 2));
        assertFalse(catalog.compatible(ID, 5, HMB_IRB, 4), "mode not offered");
        assertFalse(catalog.compatible(ID, 5, HMB_IRB, 3), "two modes");
        assertFalse(catalog.compatible(ID, 5, HMB_IRB, 0), "no mode");
        assertFalse(catalog.compatible(ID, 5, Codes.DUO_HMB, 1), "IRB not repeated");
        assertFalse(catalog.compatible(ID, 0, HMB_IRB, 1), "no purpose");
        assertFalse(catalog.compatible(ID, 13, HMB_IRB, 1), "purpose without a meaning");
        assertFalse(catalog.compatible(ID, 0x8002, HMB_IRB, 1), "forbidden purpose");
    }

    function test_OnlyALiveDatasetIsCompatible() public {
        _publish();
        _setStatus(2);
        assertFalse(catalog.compatible(ID, 5, HMB_IRB, 1));
        _setStatus(1);
        assertTrue(catalog.compatible(ID, 5, HMB_IRB, 1));
        _setStatus(2);
        _setStatus(3);
        assertFalse(catalog.compatible(ID, 5, HMB_IRB, 1));
    }

    // ── relayed acts ──

    function _relay(string memory act, bytes memory parameters)
        private
        view
        returns (IModule.Auth memory)
    {
        return _consent(north, address(catalog), "DatasetCatalog", act, parameters);
    }

    function test_TheWholeLifeRelayed() public {
        IModule.Auth memory auth = _relay(
            "Publish(bytes16 id,bytes16 owner,bytes32 descriptorHash,uint32 duo,uint256 categories,uint8 tier,uint16 minCohort,uint8 modes,uint256 nonce,uint64 deadline)",
            abi.encode(ID, NORTH, DESCRIPTOR, GRU_IRB, CATEGORIES, uint8(2), uint16(11), uint8(3))
        );
        vm.startPrank(relayer);
        catalog.publishBySig(ID, NORTH, DESCRIPTOR, GRU_IRB, CATEGORIES, 2, 11, 3, auth);

        auth = _relay(
            "Revise(bytes16 id,bytes32 descriptorHash,uint32 duo,uint256 categories,uint8 tier,uint16 minCohort,uint8 modes,uint256 nonce,uint64 deadline)",
            abi.encode(ID, DESCRIPTOR, HMB_IRB, uint256(0), uint8(3), uint16(12), uint8(1))
        );
        catalog.reviseBySig(ID, DESCRIPTOR, HMB_IRB, 0, 3, 12, 1, auth);

        auth = _relay(
            "SetStatus(bytes16 id,uint8 status,uint256 nonce,uint64 deadline)",
            abi.encode(ID, uint8(2))
        );
        catalog.setStatusBySig(ID, 2, auth);
        IDatasetCatalog.Dataset memory d = catalog.dataset(ID);
        assertEq(d.version, 2);
        assertEq(d.duo, HMB_IRB);
        assertEq(uint8(d.status), 2);
    }
}
