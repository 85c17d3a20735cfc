// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {IComputeJobs} from "../../contracts/interfaces/IComputeJobs.sol";
import {IDataHubRegistry} from "../../contracts/interfaces/IDataHubRegistry.sol";
import {IDeliveryLedger} from "../../contracts/interfaces/IDeliveryLedger.sol";
import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {ILens} from "../../contracts/interfaces/ILens.sol";
import {ISanctions} from "../../contracts/interfaces/ISanctions.sol";
import {ISupervision} from "../../contracts/interfaces/ISupervision.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {ComputeBase} from "./ComputeBase.t.sol";
import {PanelBase} from "./PanelBase.t.sol";

/// @notice Pages about one thing each (Lens.tree).
contract LensTest is PanelBase {
    ILens private lens;

    function setUp() public override {
        super.setUp();
        lens = ILens(_at(Codes.LENS));
    }

    // ── institutionPage ──

    function test_InstitutionPage() public {
        _credit(NORTH);
        _take(Roles.CASES_ROLE);
        sanctions.impose(keccak256("case"), NORTH, 1);
        (bytes16 cred,) = _staff(north, NORTH, "panelist", Roles.PANELIST);
        vm.prank(north.addr);
        judgePool.join(NORTH, cred);
        _filed(_offered());

        ILens.InstitutionPage memory page = lens.institutionPage(NORTH);
        assertEq(
            keccak256(abi.encode(page.institution)),
            keccak256(abi.encode(institutions.institution(NORTH)))
        );
        assertEq(uint8(page.status), uint8(IInstitutionRegistry.Status.Active));
        (,, uint16 meanBps, uint16 lcbBps, uint32 count) = credibility.score(NORTH, _now());
        assertEq(page.meanBps, meanBps);
        assertEq(page.lcbBps, lcbBps);
        assertEq(page.events, count);
        assertGt(count, 0);
        assertEq(page.credits.balance, incentives.creditsOf(NORTH).balance);
        (uint256 available, uint256 cost, uint64 retryAt) = incentives.quota(NORTH);
        assertEq(page.quotaUnits, available);
        assertEq(page.requestCost, cost);
        assertEq(page.requestFrom, retryAt);
        assertEq(page.level, 1);
        assertEq(page.sanctions.length, 1);
        assertEq(page.sanctions[0].caseId, keccak256("case"));
        assertEq(page.openCases, 0);
        assertEq(page.seat.cred, cred);
        assertEq(lens.institutionPage(SOUTH).openCases, 1);
    }

    function test_InstitutionPageOfNobody() public view {
        ILens.InstitutionPage memory page = lens.institutionPage(bytes16(keccak256("nobody")));
        assertEq(page.institution.kind, 0);
        assertEq(uint8(page.status), 0);
        assertEq(page.sanctions.length, 0);
        assertEq(page.seat.cred, 0);
    }

    // ── grantPage, deliveryPage ──

    function test_GrantPage() public {
        bytes32 grantId = _granted();
        _offer(grantId, 1, keccak256("offer"));
        ILens.GrantPage memory page = lens.grantPage(grantId);
        assertEq(keccak256(abi.encode(page.grant)), keccak256(abi.encode(access.grant(grantId))));
        assertTrue(page.live);
        assertEq(
            keccak256(abi.encode(page.dataset)), keccak256(abi.encode(catalog.dataset(DATASET)))
        );
        assertEq(page.deliveries, 1);
        assertEq(page.faultCode, 0);
        assertEq(uint8(lens.grantPage(keccak256("none")).grant.status), 0);
    }

    function test_GrantPageShowsFaults() public {
        bytes32 lapsed = _requested();
        bytes32 missed = _granted();
        vm.warp(_now() + 8 * DAY);
        access.lapse(lapsed);
        ledger.expireDuty(missed);
        ILens.GrantPage memory page = lens.grantPage(lapsed);
        assertEq(page.faultCode, Codes.REQUEST_LAPSED);
        assertEq(page.faultSide, Codes.SIDE_OWNER);
        assertFalse(page.live);
        page = lens.grantPage(missed);
        assertEq(page.faultCode, Codes.NO_OFFER);
        assertEq(page.faultSide, Codes.SIDE_OWNER);
    }

    function test_DeliveryPage() public {
        bytes32 grantId = _granted();
        bytes32 deliveryId = _offer(grantId, 1, keccak256("offer"));
        ILens.DeliveryPage memory page = lens.deliveryPage(grantId, 1);
        assertEq(page.deliveryId, deliveryId);
        assertEq(
            keccak256(abi.encode(page.delivery)), keccak256(abi.encode(ledger.delivery(deliveryId)))
        );
        assertEq(page.grant.requester, SOUTH);
        assertTrue(page.live);
        page = lens.deliveryPage(keccak256("none"), 1);
        assertEq(uint8(page.delivery.state), uint8(IDeliveryLedger.State.None));
        assertEq(uint8(page.grant.status), uint8(IAccessRegistry.Status.None));
    }

    // ── casePage ──

    function test_CasePage() public {
        _judges(8);
        _credit(NORTH);
        bytes32 caseId = _empanelled();
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(peers[i].panelist.addr);
            arbitration.voteInterim(caseId, peers[i].cred, 3, _now() + 10 * DAY);
        }
        _ruled(caseId, UPHELD, 2);
        _appealed(caseId, north.addr, NORTH);
        _ruled(caseId, UPHELD, 2);
        supervision.execute(caseId);

        ILens.CasePage memory page = lens.casePage(caseId);
        assertEq(
            keccak256(abi.encode(page.complaint)), keccak256(abi.encode(supervision.caseOf(caseId)))
        );
        assertEq(page.first.size, 5);
        assertEq(page.second.size, 7);
        assertEq(page.second.members.length, 7);
        assertEq(page.appeal.by, NORTH);
        assertEq(page.sanction.level, 3);
        assertEq(uint8(page.sanction.status), uint8(ISanctions.Status.InForce));
        assertEq(page.interim.level, 3);
        assertEq(uint8(page.interim.status), uint8(ISanctions.Status.Served));
    }

    function test_CasePageOfNoCase() public view {
        ILens.CasePage memory page = lens.casePage(keccak256("none"));
        assertEq(uint8(page.complaint.stage), uint8(ISupervision.Stage.None));
        assertEq(page.first.size, 0);
        assertEq(page.first.members.length, 0);
        assertEq(page.sanction.level, 0);
    }

    // ── hubPage ──

    function test_HubPage() public {
        (bytes16 hub, Vm.Wallet memory person) = _hub("hub", SOUTH, south.addr);
        ISupervision.Complaint memory c = _complaint(_offered());
        c.complainant = hub;
        vm.prank(person.addr);
        supervision.file(c);
        ILens.HubPage memory page = lens.hubPage(hub);
        assertEq(page.hub.sponsor, SOUTH);
        assertEq(uint8(page.hub.status), uint8(IDataHubRegistry.HubStatus.Open));
        assertEq(page.openCases, 1);
        assertEq(page.accounts.length, 1);
        assertEq(page.accounts[0], _keyId(person.addr));
        assertEq(lens.hubPage(bytes16(0)).accounts.length, 0);
    }

    // ── keysPage ──

    function _key(uint8 kind, bytes memory publicKey) private {
        vm.prank(north.addr);
        keys.addKey(NORTH, kind, publicKey, _now(), _now() + DAY, "");
    }

    function test_KeysPage() public {
        _bindAccount(north.addr, NORTH, vm.createWallet("second account"));
        _key(Codes.SCP, bytes.concat(keccak256("scp")));
        _key(Codes.SEAL, bytes.concat(keccak256("seal")));
        ILens.KeysPage memory page = lens.keysPage(NORTH, 0, 64);
        assertEq(page.keys.length, 4);
        assertEq(page.next, 0);
        assertEq(page.keys[0].keyId, _keyId(north.addr));
        assertEq(page.keys[0].key.kind, Codes.ACCOUNT);
        assertEq(page.keys[1].key.kind, Codes.ACCOUNT);
        assertEq(page.keys[2].key.kind, Codes.SEAL);
        assertEq(page.keys[3].key.kind, Codes.SCP);
        assertEq(page.keys[2].key.subject, NORTH);
        assertTrue(page.keys[2].valid);
        vm.warp(_now() + DAY);
        page = lens.keysPage(NORTH, 0, 64);
        assertTrue(page.keys[0].valid);
        assertFalse(page.keys[2].valid);
    }

    function test_KeysPageGoesOn() public {
        _bindAccount(north.addr, NORTH, vm.createWallet("second account"));
        _key(Codes.SEAL, bytes.concat(keccak256("seal")));
        ILens.KeysPage memory page = lens.keysPage(NORTH, 0, 2);
        assertEq(page.keys.length, 2);
        assertEq(page.next, 2);
        page = lens.keysPage(NORTH, page.next, 2);
        assertEq(page.keys.length, 1);
        assertEq(page.keys[0].key.kind, Codes.SEAL);
        assertEq(page.next, 0);
        assertEq(lens.keysPage(NORTH, 3, 2).keys.length, 0);
        assertEq(lens.keysPage(NORTH, type(uint256).max, 2).keys.length, 0);
        page = lens.keysPage(NORTH, 1, 2);
        assertEq(page.keys.length, 2);
        assertEq(page.next, 0);
    }

    function test_KeysPageRefusals() public {
        _expect(_outOfBounds(0, 1, 64));
        lens.keysPage(NORTH, 0, 0);
        _expect(_outOfBounds(65, 1, 64));
        lens.keysPage(NORTH, 0, 65);
    }

    // ── the Lens ──

    function test_LensNeedsItsModules() public {
        assertEq(address(lens.DIRECTORY()), address(directory));
        vm.mockCall(
            address(directory),
            abi.encodeCall(directory.addressOf, (Codes.SUPERVISION)),
            abi.encode(address(0))
        );
        _expect(_unknown(Codes.SUPERVISION));
        lens.casePage(keccak256("case"));
    }
}

/// @notice Pages about jobs (Lens.tree).
contract LensJobTest is ComputeBase {
    // ── jobPage ──

    function test_JobPage() public {
        ILens lens = ILens(_at(Codes.LENS));
        bytes32 jobId = _running(3);
        ILens.JobPage memory page = lens.jobPage(jobId);
        assertEq(keccak256(abi.encode(page.job)), keccak256(abi.encode(jobs.job(jobId))));
        assertEq(page.sites.length, 3);
        for (uint8 i = 0; i < 3; ++i) {
            assertEq(
                keccak256(abi.encode(page.sites[i])), keccak256(abi.encode(jobs.siteOf(jobId, i)))
            );
        }
        page = lens.jobPage(keccak256("none"));
        assertEq(uint8(page.job.state), uint8(IComputeJobs.State.None));
        assertEq(page.sites.length, 0);
    }
}
