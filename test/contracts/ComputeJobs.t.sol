// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IComputeJobs} from "../../contracts/interfaces/IComputeJobs.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {IPrivacyLedger} from "../../contracts/interfaces/IPrivacyLedger.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {ComputeBase} from "./ComputeBase.t.sol";

contract ComputeJobsTest is ComputeBase {
    string private constant ORDER =
        "JobOrder(bytes16 customer,bytes16 service,bytes32 algId,bytes32 paramsHash,bytes32 sitesHash,uint16 purpose,uint32 duo,uint32 epsMilli,uint64 maxPrice,uint64 permitBy,uint64 runBy,bytes32 salt)";

    IComputeJobs.State private constant ORDERED = IComputeJobs.State.Ordered;
    IComputeJobs.State private constant QUOTED = IComputeJobs.State.Quoted;
    IComputeJobs.State private constant FUNDED = IComputeJobs.State.Funded;
    IComputeJobs.State private constant PERMITTED = IComputeJobs.State.Permitted;
    IComputeJobs.State private constant RUNNING = IComputeJobs.State.Running;
    IComputeJobs.State private constant COMMITTED = IComputeJobs.State.Committed;
    IComputeJobs.State private constant RELEASED = IComputeJobs.State.Released;
    IComputeJobs.State private constant WITHHELD = IComputeJobs.State.Withheld;
    IComputeJobs.State private constant CANCELLED = IComputeJobs.State.Cancelled;
    IComputeJobs.State private constant FAILED = IComputeJobs.State.Failed;
    IComputeJobs.State private constant TIMED_OUT = IComputeJobs.State.TimedOut;

    // ── order ──

    function test_OrderStoresAndTellsAll() public {
        bytes16[] memory datasets = _sites(3);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        bytes32 want = _orderDigest(o);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobOrdered(want, o, datasets);
        bytes32 jobId = _place(o, datasets);
        assertEq(jobId, want);

        IComputeJobs.Job memory j = jobs.job(jobId);
        assertEq(j.customer, SOUTH);
        assertEq(j.service, INSPECTORATE);
        assertEq(j.algId, COUNT);
        assertEq(j.paramsHash, o.paramsHash);
        assertEq(j.purpose, 5);
        assertEq(j.epsMilli, EPS);
        assertEq(uint8(j.state), uint8(ORDERED));
        assertEq(j.sites, 3);
        assertEq(j.permitted + j.declined + j.committed, 0);
        assertEq(j.maxPrice, PRICE);
        assertEq(j.price, 0);
        assertEq(j.permitBy, o.permitBy);
        assertEq(j.runBy, o.runBy);
        assertEq(j.settleBy, 0);
        assertFalse(j.settled);
        for (uint8 i = 0; i < 3; ++i) {
            assertEq(jobs.siteOf(jobId, i).dataset, datasets[i]);
        }
        assertEq(jobs.siteOf(jobId, 3).dataset, 0);
    }

    function test_OrderBySignatureMakesTheSameId() public {
        bytes16[] memory datasets = _sites(1);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        bytes memory signature = _sign(south, _orderDigest(o));
        vm.startPrank(relayer);
        _expect(_badSignature(north.addr));
        jobs.orderBySig(o, datasets, north.addr, signature);
        assertEq(jobs.orderBySig(o, datasets, south.addr, signature), _orderDigest(o));
    }

    function test_OrderTakesOneSiteOrThreeToSixteen() public {
        uint8[4] memory counts = [1, 3, 4, 16];
        for (uint256 i = 0; i < counts.length; ++i) {
            assertEq(jobs.job(_ordered(counts[i])).sites, counts[i]);
        }
    }

    function test_OrderRefusesOtherCountsOfSites() public {
        uint8[3] memory counts = [0, 2, 17];
        for (uint256 i = 0; i < counts.length; ++i) {
            bytes16[] memory datasets = new bytes16[](counts[i]);
            _refuses(_orderOf(datasets), datasets, _outOfBounds(counts[i], 3, 16));
        }
    }

    function test_OrderRefusesDatasetsThatAreNotThoseOfTheOrder() public {
        IComputeJobs.JobOrder memory o = _orderOf(_sites(3));
        bytes16[] memory others = _sites(4);
        _refuses(o, others, _mismatch(keccak256(abi.encode(others)), o.sitesHash));
    }

    function test_OrderRefusesDatasetsOutOfOrderOrTwice() public {
        bytes16[] memory datasets = _sites(3);
        datasets[2] = datasets[1];
        _refuses(_orderOf(datasets), datasets, _notAscending(datasets[1]));
        (datasets[1], datasets[2]) = (pool[2], pool[1]);
        _refuses(_orderOf(datasets), datasets, _notAscending(pool[1]));
    }

    function test_OrderRefusesDatasetsThatDoNotFitTheUse() public {
        bytes16[] memory datasets = _sites(3);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        o.duo = Codes.DUO_HMB;
        _refuses(o, datasets, _notCompatible(datasets[0]));
        vm.prank(north.addr);
        catalog.setStatus(datasets[1], 2);
        _refuses(_orderOf(datasets), datasets, _notCompatible(datasets[1]));
    }

    function test_OrderRefusesAlgorithmsThatAreNotReviewed() public {
        bytes16[] memory datasets = _sites(1);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        o.algId = "nothing";
        _refuses(o, datasets, _notAllowed("nothing"));
    }

    function test_OrderRefusesForbiddenPurposes() public {
        bytes16[] memory datasets = _sites(1);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        uint16[4] memory purposes = [0, 13, 32, 0x8002];
        for (uint256 i = 0; i < purposes.length; ++i) {
            o.purpose = purposes[i];
            _refuses(
                o,
                datasets,
                abi.encodeWithSelector(IComputeJobs.ForbiddenPurpose.selector, purposes[i])
            );
        }
    }

    function test_OrderRefusesBudgetsAndTimesOutOfBounds() public {
        bytes16[] memory datasets = _sites(1);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        o.epsMilli = 0;
        _refuses(o, datasets, _outOfBounds(0, 1, 1000));
        o.epsMilli = 1001;
        _refuses(o, datasets, _outOfBounds(1001, 1, 1000));
        o.epsMilli = 1000;

        (uint64 min, uint64 max) = (_now() + HOUR, _now() + 60 * DAY);
        o.permitBy = min - 1;
        _refuses(o, datasets, _outOfBounds(min - 1, min, max));
        o.permitBy = max + 1;
        _refuses(o, datasets, _outOfBounds(max + 1, min, max));
        o.permitBy = max;
        o.runBy = max + HOUR - 1;
        _refuses(o, datasets, _outOfBounds(o.runBy, max + HOUR, max + 60 * DAY));
        o.runBy = max + 60 * DAY + 1;
        _refuses(o, datasets, _outOfBounds(o.runBy, max + HOUR, max + 60 * DAY));
        o.runBy = max + 60 * DAY;
        _place(o, datasets);
        (o.permitBy, o.runBy) = (min, min + HOUR);
        _place(o, datasets);
    }

    function test_OrderRefusesAServiceThatIsNotThere() public {
        bytes16[] memory datasets = _sites(1);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        o.service = "nobody";
        _refuses(o, datasets, _notActive("nobody", 0));
    }

    function test_OrderOfTheCustomerItselfIsFree() public {
        bytes16[] memory datasets = _sites(1);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        o.service = SOUTH;
        _refuses(o, datasets, _outOfBounds(PRICE, 0, 0));
        o.maxPrice = 0;
        _jobIs(_place(o, datasets), ORDERED);
    }

    function test_OrderRefusesTheSameDocumentTwice() public {
        bytes16[] memory datasets = _sites(1);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        bytes32 jobId = _place(o, datasets);
        _refuses(o, datasets, _exists(jobId));
    }

    function test_OrderRefusesTheSanctioned() public {
        bytes16[] memory datasets = _sites(1);
        _take(Roles.CASES_ROLE);
        sanctions.impose("case", SOUTH, Codes.MAJOR);
        _refuses(
            _orderOf(datasets),
            datasets,
            abi.encodeWithSelector(IErrors.Sanctioned.selector, SOUTH, 3)
        );
    }

    function test_OrderCostsQuota() public {
        (uint256 before, uint256 cost,) = incentives.quota(SOUTH);
        _ordered(1);
        (uint256 later,,) = incentives.quota(SOUTH);
        assertEq(later, before - cost);
    }

    function test_OrderRefusesAnybodyButAResearcherOfTheCustomer() public {
        bytes16[] memory datasets = _sites(1);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        (, Vm.Wallet memory clerk) = _staff(south, SOUTH, "clerk", Roles.ALL & ~Roles.RESEARCHER);
        address[3] memory others = [clerk.addr, north.addr, stranger];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            _expect(_notParty(SOUTH, others[i]));
            jobs.order(o, datasets);
        }
        (, Vm.Wallet memory researcher) = _staff(south, SOUTH, "researcher", Roles.RESEARCHER);
        vm.prank(researcher.addr);
        jobs.order(o, datasets);
    }

    function test_OrderIsAnOpeningAct() public {
        bytes16[] memory datasets = _sites(1);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        _stop(Codes.COMPUTE_JOBS);
        _refuses(o, datasets, _stopped(Codes.COMPUTE_JOBS, _now() + DAY));
        vm.warp(_now() + DAY);
        _suspendInstitution(SOUTH, _now() + DAY);
        _refuses(o, datasets, _notActive(SOUTH, 5));
    }

    // ── quote ──

    function test_QuoteNamesAPriceWithinTheOrder() public {
        bytes32 jobId = _ordered(1);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobQuoted(jobId, PRICE);
        vm.prank(inspectorate.addr);
        jobs.quote(jobId, PRICE);
        _jobIs(jobId, QUOTED);
        assertEq(jobs.job(jobId).price, PRICE);
    }

    function test_QuoteRefusesAHigherPriceOrASecondOne() public {
        bytes32 jobId = _ordered(1);
        vm.startPrank(inspectorate.addr);
        _expect(_outOfBounds(PRICE + 1, 0, PRICE));
        jobs.quote(jobId, PRICE + 1);
        jobs.quote(jobId, 1);
        _expect(_jobState(jobId, QUOTED, ORDERED));
        jobs.quote(jobId, 1);
        _expect(_unknown("nothing"));
        jobs.quote("nothing", 1);
    }

    function test_QuoteRefusesAfterTheTimeForPermits() public {
        bytes32 jobId = _ordered(1);
        uint64 permitBy = jobs.job(jobId).permitBy;
        vm.warp(permitBy + 1);
        vm.prank(inspectorate.addr);
        _expect(_tooLate(permitBy));
        jobs.quote(jobId, 1);
        vm.warp(permitBy);
        vm.prank(inspectorate.addr);
        jobs.quote(jobId, 1);
    }

    function test_QuoteRefusesAnybodyButAStewardOfTheService() public {
        bytes32 jobId = _ordered(1);
        (, Vm.Wallet memory clerk) =
            _staff(inspectorate, INSPECTORATE, "clerk", Roles.ALL & ~Roles.STEWARD);
        address[2] memory others = [clerk.addr, south.addr];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            _expect(_notParty(INSPECTORATE, others[i]));
            jobs.quote(jobId, 1);
        }
    }

    function test_QuoteBySignatureDoesTheSame() public {
        bytes32 jobId = _ordered(1);
        IModule.Auth memory auth = _auth(
            inspectorate,
            "Quote(bytes32 jobId,uint64 price,uint256 nonce,uint64 deadline)",
            abi.encode(jobId, 7)
        );
        jobs.quoteBySig(jobId, 7, auth);
        assertEq(jobs.job(jobId).price, 7);
    }

    function test_QuoteIsAnOpeningAct() public {
        bytes32 jobId = _ordered(1);
        _stop(Codes.COMPUTE_JOBS);
        vm.prank(inspectorate.addr);
        _expect(_stopped(Codes.COMPUTE_JOBS, _now() + DAY));
        jobs.quote(jobId, 1);
        vm.warp(_now() + DAY);
        _suspendInstitution(INSPECTORATE, _now() + DAY);
        vm.prank(inspectorate.addr);
        _expect(_notActive(INSPECTORATE, 5));
        jobs.quote(jobId, 1);
    }

    // ── fund ──

    function test_FundLocksThePrice() public {
        bytes32 jobId = _quoted(1);
        uint64 balance = incentives.creditsOf(SOUTH).balance;
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobFunded(jobId);
        vm.prank(south.addr);
        jobs.fund(jobId);
        _jobIs(jobId, FUNDED);
        assertEq(incentives.creditsOf(SOUTH).balance, balance - PRICE);
        assertEq(incentives.creditsOf(SOUTH).locked, PRICE);
    }

    function test_FundOfAFreeJobLocksNothing() public {
        _fundedFree();
        assertEq(incentives.creditsOf(SOUTH).locked, 0);
    }

    function test_FundRefusesWhatIsNotQuoted() public {
        bytes32 jobId = _ordered(1);
        vm.startPrank(south.addr);
        _expect(_jobState(jobId, ORDERED, QUOTED));
        jobs.fund(jobId);
    }

    function test_FundRefusesAfterTheTimeForPermits() public {
        bytes32 jobId = _quoted(1);
        uint64 permitBy = jobs.job(jobId).permitBy;
        vm.warp(permitBy + 1);
        vm.prank(south.addr);
        _expect(_tooLate(permitBy));
        jobs.fund(jobId);
    }

    function test_FundRefusesAnybodyButAResearcherOfTheCustomer() public {
        bytes32 jobId = _quoted(1);
        (, Vm.Wallet memory clerk) = _staff(south, SOUTH, "clerk", Roles.ALL & ~Roles.RESEARCHER);
        address[2] memory others = [clerk.addr, inspectorate.addr];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            _expect(_notParty(SOUTH, others[i]));
            jobs.fund(jobId);
        }
    }

    function test_FundBySignatureDoesTheSame() public {
        bytes32 jobId = _quoted(1);
        IModule.Auth memory auth =
            _auth(south, "Fund(bytes32 jobId,uint256 nonce,uint64 deadline)", abi.encode(jobId));
        jobs.fundBySig(jobId, auth);
        _jobIs(jobId, FUNDED);
    }

    function test_FundIsAnOpeningAct() public {
        bytes32 jobId = _quoted(1);
        _stop(Codes.COMPUTE_JOBS);
        vm.prank(south.addr);
        _expect(_stopped(Codes.COMPUTE_JOBS, _now() + DAY));
        jobs.fund(jobId);
        vm.warp(_now() + DAY);
        _suspendInstitution(SOUTH, _now() + DAY);
        vm.prank(south.addr);
        _expect(_notActive(SOUTH, 5));
        jobs.fund(jobId);
    }

    // ── permit ──

    function test_PermitReservesTheBudgetAndTheLastOneOpensTheRun() public {
        bytes32 jobId = _funded(3);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobPermitted(jobId, 0, POLICY, 0, 0);
        _permitSite(jobId, 0);
        _budgetIs(pool[0], 0, EPS);
        IComputeJobs.Site memory s = jobs.siteOf(jobId, 0);
        assertEq(uint8(s.state), uint8(IComputeJobs.SiteState.Permitted));
        assertEq(s.jobId, jobId);
        assertEq(s.policyHash, POLICY);
        assertEq(jobs.job(jobId).permitted, 1);
        _jobIs(jobId, FUNDED);
        _permitSite(jobId, 2);
        _jobIs(jobId, FUNDED);
        _permitSite(jobId, 1);
        _jobIs(jobId, PERMITTED);
    }

    function test_PermitCarriesTheRootOfHubPermits() public {
        bytes32 jobId = _funded(1);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobPermitted(jobId, 0, POLICY, "root", 9);
        vm.prank(north.addr);
        jobs.permit(jobId, 0, POLICY, "root", 9);
        assertEq(jobs.siteOf(jobId, 0).permitRoot, "root");
        assertEq(jobs.siteOf(jobId, 0).countLog2, 9);
    }

    function test_PermitRefusesARootWithoutDepthAndADepthWithoutRoot() public {
        bytes32 jobId = _funded(1);
        vm.startPrank(north.addr);
        _expect(_outOfBounds(4, 0, 0));
        jobs.permit(jobId, 0, POLICY, 0, 4);
        _expect(_outOfBounds(3, 4, 24));
        jobs.permit(jobId, 0, POLICY, "root", 3);
        _expect(_outOfBounds(25, 4, 24));
        jobs.permit(jobId, 0, POLICY, "root", 25);
    }

    function test_PermitRefusesAnAlgorithmThatIsNotAllowed() public {
        bytes32 jobId = _funded(1);
        vm.startPrank(north.addr);
        algorithms.disallow(pool[0], COUNT);
        _expect(_notAllowed(COUNT));
        jobs.permit(jobId, 0, POLICY, 0, 0);
    }

    function test_PermitRefusesASecondAnswerOfASite() public {
        bytes32 jobId = _funded(3);
        _permitSite(jobId, 0);
        _expect(_wrongState(pool[0], 1, 0));
        _permitSite(jobId, 0);
    }

    function test_PermitRefusesASiteThatIsNotThere() public {
        bytes32 jobId = _funded(3);
        _expect(_outOfBounds(3, 0, 2));
        _permitSite(jobId, 3);
        _expect(_unknown("nothing"));
        _permitSite("nothing", 0);
    }

    function test_PermitRefusesWhatIsNotFunded() public {
        bytes32 jobId = _quoted(3);
        _expect(_jobState(jobId, QUOTED, FUNDED));
        _permitSite(jobId, 0);
    }

    function test_PermitRefusesAfterTheTimeForPermits() public {
        bytes32 jobId = _funded(3);
        uint64 permitBy = jobs.job(jobId).permitBy;
        vm.warp(permitBy + 1);
        _expect(_tooLate(permitBy));
        _permitSite(jobId, 0);
        vm.warp(permitBy);
        _permitSite(jobId, 0);
    }

    function test_PermitRefusesWhenTheBudgetIsUsedUp() public {
        for (uint256 i = 0; i < 4; ++i) {
            _permitted(1);
        }
        bytes32 jobId = _funded(1);
        _expect(abi.encodeWithSelector(IPrivacyLedger.BudgetExceeded.selector, pool[0], 0));
        _permitSite(jobId, 0);
    }

    function test_PermitRefusesAnybodyButAStewardOfTheOwner() public {
        bytes32 jobId = _funded(1);
        (, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.ALL & ~Roles.STEWARD);
        address[2] memory others = [clerk.addr, south.addr];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            _expect(_notParty(NORTH, others[i]));
            jobs.permit(jobId, 0, POLICY, 0, 0);
        }
    }

    function test_PermitBySignatureDoesTheSame() public {
        bytes32 jobId = _funded(1);
        IModule.Auth memory auth = _auth(
            north,
            "Permit(bytes32 jobId,uint8 site,bytes32 policyHash,bytes32 permitRoot,uint8 countLog2,uint256 nonce,uint64 deadline)",
            abi.encode(jobId, 0, POLICY, bytes32("root"), 5)
        );
        jobs.permitBySig(jobId, 0, POLICY, "root", 5, auth);
        _jobIs(jobId, PERMITTED);
    }

    function test_PermitIsAnOpeningAct() public {
        bytes32 jobId = _funded(1);
        _stop(Codes.COMPUTE_JOBS);
        _expect(_stopped(Codes.COMPUTE_JOBS, _now() + DAY));
        _permitSite(jobId, 0);
        vm.warp(_now() + DAY);
        _suspendInstitution(NORTH, _now() + DAY);
        _expect(_notActive(NORTH, 5));
        _permitSite(jobId, 0);
    }

    // ── decline ──

    function test_DeclineAsTheLastAnswerOpensTheRunOfTheOthers() public {
        bytes32 jobId = _funded(4);
        for (uint8 i = 0; i < 3; ++i) {
            _permitSite(jobId, i);
        }
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobDeclined(jobId, 3, 1);
        _declineSite(jobId, 3);
        _jobIs(jobId, PERMITTED);
        _siteIs(jobId, 3, IComputeJobs.SiteState.Declined);
        assertEq(jobs.job(jobId).permitted, 3);
        assertEq(jobs.job(jobId).declined, 1);
        for (uint8 i = 0; i < 3; ++i) {
            _startSite(jobId, i);
            _commitSite(jobId, i, true);
        }
        _jobIs(jobId, COMMITTED);
        jobs.release(jobId);
        _jobIs(jobId, RELEASED);
    }

    function test_DeclineCancelsWhenTooFewCouldBeLeft() public {
        bytes32 one = _funded(1);
        uint64 locked = incentives.creditsOf(SOUTH).locked;
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobCancelled(one);
        _declineSite(one, 0);
        _jobIs(one, CANCELLED);
        assertEq(incentives.creditsOf(SOUTH).locked, locked - PRICE);

        bytes32 three = _funded(3);
        _permitSite(three, 0);
        _permitSite(three, 1);
        _declineSite(three, 2);
        _jobIs(three, CANCELLED);
        _budgetIs(pool[0], 0, 0);
        _budgetIs(pool[1], 0, 0);
    }

    function test_DeclineFreesTheBudgetOfAPermitBefore() public {
        bytes32 jobId = _funded(4);
        _permitSite(jobId, 0);
        _budgetIs(pool[0], 0, EPS);
        _declineSite(jobId, 0);
        _budgetIs(pool[0], 0, 0);
        assertEq(jobs.job(jobId).permitted, 0);
        assertEq(jobs.job(jobId).declined, 1);
        _jobIs(jobId, FUNDED);
    }

    function test_DeclineRefusesReasonsThatAreNone() public {
        bytes32 jobId = _funded(4);
        vm.startPrank(north.addr);
        _expect(_outOfBounds(0, 1, 8));
        jobs.decline(jobId, 0, 0);
        _expect(_outOfBounds(9, 1, 8));
        jobs.decline(jobId, 0, 9);
        jobs.decline(jobId, 0, 8);
    }

    function test_DeclineRefusesASecondTime() public {
        bytes32 jobId = _funded(4);
        _declineSite(jobId, 0);
        _expect(_wrongState(pool[0], 2, 0));
        _declineSite(jobId, 0);
        _expect(_wrongState(pool[0], 2, 0));
        _permitSite(jobId, 0);
    }

    function test_DeclineRefusesWhatIsNotFunded() public {
        bytes32 jobId = _permitted(1);
        _expect(_jobState(jobId, PERMITTED, FUNDED));
        _declineSite(jobId, 0);
    }

    function test_DeclineRefusesAnybodyButAStewardOfTheOwner() public {
        bytes32 jobId = _funded(4);
        vm.prank(south.addr);
        _expect(_notParty(NORTH, south.addr));
        jobs.decline(jobId, 0, 1);
    }

    function test_DeclineBySignatureDoesTheSame() public {
        bytes32 jobId = _funded(4);
        IModule.Auth memory auth = _auth(
            north,
            "Decline(bytes32 jobId,uint8 site,uint8 reasonCode,uint256 nonce,uint64 deadline)",
            abi.encode(jobId, 0, 5)
        );
        jobs.declineBySig(jobId, 0, 5, auth);
        _siteIs(jobId, 0, IComputeJobs.SiteState.Declined);
    }

    function test_DeclineWorksWhileStopped() public {
        bytes32 jobId = _funded(4);
        _stop(Codes.COMPUTE_JOBS);
        _suspendInstitution(NORTH, _now() + DAY);
        _declineSite(jobId, 0);
        _siteIs(jobId, 0, IComputeJobs.SiteState.Declined);
    }

    // ── cancel ──

    function test_CancelGivesPriceAndBudgetsBack() public {
        uint64 balance = incentives.creditsOf(SOUTH).balance;
        bytes32 jobId = _permitted(3);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobCancelled(jobId);
        _cancel(jobId);
        _jobIs(jobId, CANCELLED);
        assertEq(incentives.creditsOf(SOUTH).balance, balance);
        assertEq(incentives.creditsOf(SOUTH).locked, 0);
        for (uint256 i = 0; i < 3; ++i) {
            _budgetIs(pool[i], 0, 0);
        }
    }

    function test_CancelOfAJobWithoutPriceUnlocksNothing() public {
        bytes32 quoted = _quoted(1);
        _cancel(quoted);
        _jobIs(quoted, CANCELLED);
        bytes32 free = _fundedFree();
        _cancel(free);
        _jobIs(free, CANCELLED);
    }

    function test_CancelRefusesAJobThatRuns() public {
        bytes32 jobId = _running(1);
        _expect(_jobState(jobId, RUNNING, PERMITTED));
        _cancel(jobId);
        bytes32 over = _ordered(1);
        _cancel(over);
        _expect(_jobState(over, CANCELLED, PERMITTED));
        _cancel(over);
    }

    function test_CancelRefusesAnybodyButAResearcherOfTheCustomer() public {
        bytes32 jobId = _ordered(1);
        vm.prank(north.addr);
        _expect(_notParty(SOUTH, north.addr));
        jobs.cancel(jobId);
    }

    function test_CancelBySignatureDoesTheSame() public {
        bytes32 jobId = _ordered(1);
        IModule.Auth memory auth =
            _auth(south, "Cancel(bytes32 jobId,uint256 nonce,uint64 deadline)", abi.encode(jobId));
        jobs.cancelBySig(jobId, auth);
        _jobIs(jobId, CANCELLED);
    }

    function test_CancelWorksWhileStopped() public {
        bytes32 jobId = _ordered(1);
        _stop(Codes.COMPUTE_JOBS);
        _suspendInstitution(SOUTH, _now() + DAY);
        _cancel(jobId);
        _jobIs(jobId, CANCELLED);
    }

    // ── start ──

    function test_StartFixesTheSeedAndRuns() public {
        bytes32 jobId = _permitted(3);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobStarted(jobId, 1, SEED);
        _startSite(jobId, 1);
        _jobIs(jobId, RUNNING);
        _siteIs(jobId, 1, IComputeJobs.SiteState.Started);
        assertEq(jobs.siteOf(jobId, 1).seedCommit, SEED);
        _startSite(jobId, 0);
        _jobIs(jobId, RUNNING);
    }

    function test_StartRefusesASiteThatDidNotPermit() public {
        bytes32 jobId = _funded(4);
        _declineSite(jobId, 0);
        for (uint8 i = 1; i < 4; ++i) {
            _permitSite(jobId, i);
        }
        _expect(_wrongState(pool[0], 2, 1));
        _startSite(jobId, 0);
        _startSite(jobId, 1);
        _expect(_wrongState(pool[1], 3, 1));
        _startSite(jobId, 1);
    }

    function test_StartRefusesBeforeTheLastAnswer() public {
        bytes32 jobId = _funded(3);
        _permitSite(jobId, 0);
        _expect(_jobState(jobId, FUNDED, PERMITTED));
        _startSite(jobId, 0);
    }

    function test_StartRefusesAfterTheTimeForTheRun() public {
        bytes32 jobId = _permitted(1);
        uint64 runBy = jobs.job(jobId).runBy;
        vm.warp(runBy + 1);
        _expect(_tooLate(runBy));
        _startSite(jobId, 0);
        vm.warp(runBy);
        _startSite(jobId, 0);
    }

    function test_StartRefusesAnybodyButARelayerOfTheOwner() public {
        bytes32 jobId = _permitted(1);
        (, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.ALL & ~Roles.RELAYER);
        address[2] memory others = [clerk.addr, south.addr];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            _expect(_notParty(NORTH, others[i]));
            jobs.start(jobId, 0, SEED);
        }
    }

    function test_StartBySignatureDoesTheSame() public {
        bytes32 jobId = _permitted(1);
        IModule.Auth memory auth = _auth(
            north,
            "Start(bytes32 jobId,uint8 site,bytes32 seedCommit,uint256 nonce,uint64 deadline)",
            abi.encode(jobId, 0, SEED)
        );
        jobs.startBySig(jobId, 0, SEED, auth);
        _jobIs(jobId, RUNNING);
    }

    function test_StartIsAnOpeningAct() public {
        bytes32 jobId = _permitted(1);
        _stop(Codes.COMPUTE_JOBS);
        _expect(_stopped(Codes.COMPUTE_JOBS, _now() + DAY));
        _startSite(jobId, 0);
        vm.warp(_now() + DAY);
        _suspendInstitution(NORTH, _now() + DAY);
        _expect(_notActive(NORTH, 5));
        _startSite(jobId, 0);
    }

    // ── commit ──

    function test_CommitSettlesTheBudgetAndTheLastOneEndsTheRun() public {
        bytes32 jobId = _running(3);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobCommitted(
            jobId,
            0,
            keccak256("test/input"),
            keccak256("test/result"),
            keccak256("test/receipt"),
            400,
            true
        );
        _commitSite(jobId, 0, true);
        _budgetIs(pool[0], 400, 0);
        IComputeJobs.Site memory s = jobs.siteOf(jobId, 0);
        assertEq(uint8(s.state), uint8(IComputeJobs.SiteState.Committed));
        assertEq(s.epsSpent, 400);
        assertTrue(s.cohortOk);
        assertEq(s.inputRoot, keccak256("test/input"));
        assertEq(s.resultHash, keccak256("test/result"));
        assertEq(s.receiptHash, keccak256("test/receipt"));
        _jobIs(jobId, RUNNING);
        _commitSite(jobId, 1, false);
        assertFalse(jobs.siteOf(jobId, 1).cohortOk);
        _commitSite(jobId, 2, true);
        _jobIs(jobId, COMMITTED);
        assertEq(jobs.job(jobId).committed, 3);
    }

    function test_CommitRefusesMoreBudgetThanAsked() public {
        bytes32 jobId = _running(1);
        vm.startPrank(north.addr);
        _expect(_outOfBounds(EPS + 1, 0, EPS));
        jobs.commit(jobId, 0, "i", "r", "c", EPS + 1, true);
        jobs.commit(jobId, 0, "i", "r", "c", EPS, true);
        _budgetIs(pool[0], EPS, 0);
    }

    function test_CommitRefusesASiteThatDidNotStart() public {
        bytes32 jobId = _permitted(3);
        _startSite(jobId, 0);
        _expect(_wrongState(pool[1], 1, 3));
        _commitSite(jobId, 1, true);
        _commitSite(jobId, 0, true);
        _expect(_wrongState(pool[0], 4, 3));
        _commitSite(jobId, 0, true);
    }

    function test_CommitRefusesBeforeAnythingRuns() public {
        bytes32 jobId = _permitted(1);
        _expect(_jobState(jobId, PERMITTED, RUNNING));
        _commitSite(jobId, 0, true);
    }

    function test_CommitRefusesAfterTheTimeForTheRun() public {
        bytes32 jobId = _running(1);
        uint64 runBy = jobs.job(jobId).runBy;
        vm.warp(runBy + 1);
        _expect(_tooLate(runBy));
        _commitSite(jobId, 0, true);
        vm.warp(runBy);
        _commitSite(jobId, 0, true);
    }

    function test_CommitRefusesAnybodyButARelayerOfTheOwner() public {
        bytes32 jobId = _running(1);
        vm.prank(south.addr);
        _expect(_notParty(NORTH, south.addr));
        jobs.commit(jobId, 0, "i", "r", "c", 1, true);
    }

    function test_CommitBySignatureDoesTheSame() public {
        bytes32 jobId = _running(1);
        IModule.Auth memory auth = _auth(
            north,
            "Commit(bytes32 jobId,uint8 site,bytes32 inputRoot,bytes32 resultHash,bytes32 receiptHash,uint32 epsSpent,bool cohortOk,uint256 nonce,uint64 deadline)",
            abi.encode(jobId, 0, bytes32("i"), bytes32("r"), bytes32("c"), 9, true)
        );
        jobs.commitBySig(jobId, 0, "i", "r", "c", 9, true, auth);
        assertEq(jobs.siteOf(jobId, 0).resultHash, "r");
        _jobIs(jobId, COMMITTED);
    }

    function test_CommitWorksWhileStopped() public {
        bytes32 jobId = _running(1);
        _stop(Codes.COMPUTE_JOBS);
        _suspendInstitution(NORTH, _now() + DAY);
        _commitSite(jobId, 0, true);
        _jobIs(jobId, COMMITTED);
    }

    // ── fail ──

    function test_FailEndsTheJobAndEachStartPaysTen() public {
        uint64 balance = incentives.creditsOf(SOUTH).balance;
        bytes32 jobId = _permitted(4);
        _startSite(jobId, 0);
        _startSite(jobId, 1);
        _startSite(jobId, 2);
        _commitSite(jobId, 2, true);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobFailed(jobId, 0, 3);
        _fail(jobId, 0, 3);
        _jobIs(jobId, FAILED);
        _siteIs(jobId, 0, IComputeJobs.SiteState.Failed);
        _budgetIs(pool[0], 10, 0);
        _budgetIs(pool[1], 10, 0);
        _budgetIs(pool[2], 400, 0);
        _budgetIs(pool[3], 0, 0);
        assertEq(incentives.creditsOf(SOUTH).balance, balance);
        _expect(_jobState(jobId, FAILED, RUNNING));
        _commitSite(jobId, 1, true);
    }

    function test_FailPaysNoMoreThanWasAsked() public {
        bytes16[] memory datasets = _sites(1);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        o.epsMilli = 4;
        bytes32 jobId = _place(o, datasets);
        vm.prank(inspectorate.addr);
        jobs.quote(jobId, 0);
        vm.prank(south.addr);
        jobs.fund(jobId);
        _permitSite(jobId, 0);
        _startSite(jobId, 0);
        _fail(jobId, 0, 1);
        _budgetIs(pool[0], 4, 0);
    }

    function test_FailRefusesCodeZero() public {
        bytes32 jobId = _running(1);
        _expect(_outOfBounds(0, 1, 255));
        _fail(jobId, 0, 0);
    }

    function test_FailRefusesASiteThatDidNotStart() public {
        bytes32 jobId = _permitted(3);
        _startSite(jobId, 0);
        _expect(_wrongState(pool[1], 1, 3));
        _fail(jobId, 1, 1);
        vm.prank(south.addr);
        _expect(_notParty(NORTH, south.addr));
        jobs.fail(jobId, 0, 1);
    }

    function test_FailBySignatureDoesTheSame() public {
        bytes32 jobId = _running(1);
        IModule.Auth memory auth = _auth(
            north,
            "Fail(bytes32 jobId,uint8 site,uint8 code,uint256 nonce,uint64 deadline)",
            abi.encode(jobId, 0, 1)
        );
        jobs.failBySig(jobId, 0, 1, auth);
        _jobIs(jobId, FAILED);
    }

    function test_FailWorksWhileStopped() public {
        bytes32 jobId = _running(1);
        _stop(Codes.COMPUTE_JOBS);
        _suspendInstitution(NORTH, _now() + DAY);
        _fail(jobId, 0, 1);
        _jobIs(jobId, FAILED);
    }

    // ── timeout ──

    function test_TimeoutBeforeTheRunCancels() public {
        bytes32 ordered = _ordered(3);
        bytes32 funded = _funded(3);
        _permitSite(funded, 0);
        bytes32 permitted = _permitted(3);
        vm.warp(jobs.job(ordered).permitBy + 1);
        jobs.timeout(ordered);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobCancelled(funded);
        jobs.timeout(funded);
        _jobIs(ordered, CANCELLED);
        _jobIs(funded, CANCELLED);
        _budgetIs(pool[0], 0, EPS);
        uint64 runBy = jobs.job(permitted).runBy;
        _expect(_tooEarly(runBy + 1));
        jobs.timeout(permitted);
        vm.warp(runBy + 1);
        jobs.timeout(permitted);
        _jobIs(permitted, CANCELLED);
        _budgetIs(pool[0], 0, 0);
        assertEq(incentives.creditsOf(SOUTH).locked, 0);
    }

    function test_TimeoutDuringTheRunBlamesSilentSites() public {
        bytes32 jobId = _permitted(3);
        _startSite(jobId, 0);
        _startSite(jobId, 1);
        _commitSite(jobId, 1, true);
        vm.warp(jobs.job(jobId).runBy + 1);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobTimedOut(jobId);
        jobs.timeout(jobId);
        _jobIs(jobId, TIMED_OUT);
        _budgetIs(pool[0], 10, 0);
        _budgetIs(pool[1], 400, 0);
        _budgetIs(pool[2], 0, 0);
        assertEq(incentives.creditsOf(SOUTH).locked, 0);
        _faultIs(jobs.siteId(jobId, 0), 12, 1);
        _faultIs(jobs.siteId(jobId, 1), 0, 0);
        _faultIs(jobs.siteId(jobId, 2), 0, 0);
    }

    function test_TimeoutRefusesBeforeTheDeadline() public {
        bytes32 jobId = _funded(3);
        uint64 permitBy = jobs.job(jobId).permitBy;
        vm.warp(permitBy);
        _expect(_tooEarly(permitBy + 1));
        jobs.timeout(jobId);
        bytes32 running = _running(1);
        uint64 runBy = jobs.job(running).runBy;
        vm.warp(runBy);
        _expect(_tooEarly(runBy + 1));
        jobs.timeout(running);
    }

    function test_TimeoutRefusesWhatHasEnded() public {
        bytes32 jobId = _committed(1);
        vm.warp(jobs.job(jobId).runBy + 1);
        _expect(_jobState(jobId, COMMITTED, RUNNING));
        jobs.timeout(jobId);
        _expect(_unknown("nothing"));
        jobs.timeout("nothing");
    }

    // ── release ──

    function test_ReleaseCountsSitesWithCohortAndLeave() public {
        bytes32 jobId = _running(5);
        _commitSite(jobId, 0, true);
        _commitSite(jobId, 1, false);
        _commitSite(jobId, 2, true);
        _commitSite(jobId, 3, true);
        _commitSite(jobId, 4, true);
        vm.prank(north.addr);
        algorithms.disallow(pool[3], COUNT);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobReleased(jobId, 0x15, _now() + 7 * DAY);
        jobs.release(jobId);
        _jobIs(jobId, RELEASED);
        assertEq(jobs.job(jobId).settleBy, _now() + 7 * DAY);
        _siteIs(jobId, 0, IComputeJobs.SiteState.Counted);
        _siteIs(jobId, 1, IComputeJobs.SiteState.Committed);
        _siteIs(jobId, 3, IComputeJobs.SiteState.Committed);
        _siteIs(jobId, 4, IComputeJobs.SiteState.Counted);
    }

    function test_ReleaseWithholdsWithoutEnoughCohorts() public {
        uint64 balance = incentives.creditsOf(SOUTH).balance;
        bytes32 jobId = _running(3);
        _commitSite(jobId, 0, true);
        _commitSite(jobId, 1, false);
        _commitSite(jobId, 2, true);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobWithheld(jobId, 2);
        jobs.release(jobId);
        _jobIs(jobId, WITHHELD);
        _siteIs(jobId, 0, IComputeJobs.SiteState.Committed);
        assertEq(incentives.creditsOf(SOUTH).balance, balance);
        _budgetIs(pool[0], 400, 0);
    }

    function test_ReleaseWithholdsWithoutEnoughLeaves() public {
        bytes32 jobId = _committed(1);
        vm.warp(algorithms.allowedUntil(pool[0], COUNT));
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobWithheld(jobId, 1);
        jobs.release(jobId);
        _jobIs(jobId, WITHHELD);
    }

    function test_ReleaseRefusesWhatIsNotCommitted() public {
        bytes32 jobId = _running(1);
        _expect(_jobState(jobId, RUNNING, COMMITTED));
        jobs.release(jobId);
        _commitSite(jobId, 0, true);
        jobs.release(jobId);
        _expect(_jobState(jobId, RELEASED, COMMITTED));
        jobs.release(jobId);
    }

    // ── confirm ──

    function test_ConfirmBurnsThePriceAndThanksTheService() public {
        bytes32 jobId = _releasedJob(1);
        uint256 supply = incentives.totalSupply();
        (uint256 before,) = _sums(INSPECTORATE);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobSettled(jobId, 4, true);
        _confirm(jobId, 4);
        assertTrue(jobs.job(jobId).settled);
        assertEq(jobs.job(jobId).quality, 4);
        assertEq(incentives.creditsOf(SOUTH).locked, 0);
        // 10 credits at quality 4 and novelty 10: 13 are earned, the price is gone.
        assertEq(incentives.totalSupply(), supply - PRICE + 13_000_000);
        assertEq(incentives.creditsOf(INSPECTORATE).balance, 13_000_000);
        (uint256 later,) = _sums(INSPECTORATE);
        assertEq(later, before + Score.ONE);
    }

    function test_ConfirmRefusesASecondTimeAndAfterSevenDays() public {
        bytes32 jobId = _releasedJob(1);
        _confirm(jobId, 4);
        _expect(_exists(jobId));
        _confirm(jobId, 4);
        bytes32 other = _releasedJob(1);
        uint64 settleBy = jobs.job(other).settleBy;
        vm.warp(settleBy + 1);
        _expect(_tooLate(settleBy));
        _confirm(other, 4);
        vm.warp(settleBy);
        _confirm(other, 4);
    }

    function test_ConfirmRefusesQualityBeyondFive() public {
        bytes32 jobId = _releasedJob(1);
        _expect(_outOfBounds(6, 0, 5));
        _confirm(jobId, 6);
        _confirm(jobId, 5);
    }

    function test_ConfirmRefusesWhatIsNotReleased() public {
        bytes32 jobId = _committed(1);
        _expect(_jobState(jobId, COMMITTED, RELEASED));
        _confirm(jobId, 4);
    }

    function test_ConfirmRefusesAnybodyButAResearcherOfTheCustomer() public {
        bytes32 jobId = _releasedJob(1);
        vm.prank(north.addr);
        _expect(_notParty(SOUTH, north.addr));
        jobs.confirm(jobId, 4);
    }

    function test_ConfirmBySignatureDoesTheSame() public {
        bytes32 jobId = _releasedJob(1);
        IModule.Auth memory auth = _auth(
            south,
            "Confirm(bytes32 jobId,uint8 quality,uint256 nonce,uint64 deadline)",
            abi.encode(jobId, 2)
        );
        jobs.confirmBySig(jobId, 2, auth);
        assertEq(jobs.job(jobId).quality, 2);
    }

    // ── settle ──

    function test_SettleAfterSevenDaysOfSilenceCountsQualityZero() public {
        bytes32 jobId = _releasedJob(1);
        vm.warp(jobs.job(jobId).settleBy + 1);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.JobSettled(jobId, 0, false);
        jobs.settle(jobId);
        assertTrue(jobs.job(jobId).settled);
        assertEq(incentives.creditsOf(INSPECTORATE).balance, 5_000_000);
    }

    function test_SettleRefusesBeforeAndTwice() public {
        bytes32 jobId = _releasedJob(1);
        uint64 settleBy = jobs.job(jobId).settleBy;
        vm.warp(settleBy);
        _expect(_tooEarly(settleBy + 1));
        jobs.settle(jobId);
        vm.warp(settleBy + 1);
        jobs.settle(jobId);
        _expect(_exists(jobId));
        jobs.settle(jobId);
        bytes32 other = _committed(1);
        _expect(_jobState(other, COMMITTED, RELEASED));
        jobs.settle(other);
    }

    // ── settleSite ──

    function test_SettleSiteThanksEachSiteThatCountedOnce() public {
        bytes32 jobId = _releasedJob(3);
        _confirm(jobId, 5);
        (uint256 before,) = _sums(NORTH);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.SiteSettled(jobId, 2, IComputeJobs.SiteState.Rewarded);
        jobs.settleSite(jobId, 2);
        _siteIs(jobId, 2, IComputeJobs.SiteState.Rewarded);
        (uint256 later,) = _sums(NORTH);
        assertEq(later, before + Score.ONE);
        assertEq(incentives.creditsOf(NORTH).balance, 30_000_000);
        _expect(_wrongState(pool[2], 7, 6));
        jobs.settleSite(jobId, 2);
    }

    function test_SettleSiteEarnsNobodyAnythingForItsOwnOrder() public {
        bytes16 own = bytes16(keccak256("own"));
        vm.startPrank(south.addr);
        catalog.publish(own, SOUTH, "d", Codes.DUO_GRU | Codes.DUO_IRB, 1, 1, Codes.K, 2);
        algorithms.allow(own, COUNT, _now() + DAY);
        bytes16[] memory datasets = new bytes16[](1);
        datasets[0] = own;
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        (o.service, o.maxPrice) = (SOUTH, 0);
        bytes32 jobId = jobs.order(o, datasets);
        jobs.quote(jobId, 0);
        jobs.fund(jobId);
        jobs.permit(jobId, 0, POLICY, 0, 0);
        jobs.start(jobId, 0, SEED);
        jobs.commit(jobId, 0, "i", "r", "c", 1, true);
        jobs.release(jobId);
        uint64 balance = incentives.creditsOf(SOUTH).balance;
        (uint256 before,) = _sums(SOUTH);
        // Nobody is credited, so that nothing else would refuse this quality.
        _expect(_outOfBounds(6, 0, 5));
        jobs.confirm(jobId, 6);
        jobs.confirm(jobId, 5);
        jobs.settleSite(jobId, 0);
        assertEq(incentives.creditsOf(SOUTH).balance, balance);
        (uint256 later,) = _sums(SOUTH);
        assertEq(later, before);
    }

    function test_SettleSiteBlamesASilentSiteOnce() public {
        bytes32 jobId = _permitted(3);
        _startSite(jobId, 0);
        vm.warp(jobs.job(jobId).runBy + 1);
        jobs.timeout(jobId);
        (, uint256 before) = _sums(NORTH);
        vm.expectEmit(address(jobs));
        emit IComputeJobs.SiteSettled(jobId, 0, IComputeJobs.SiteState.Blamed);
        jobs.settleSite(jobId, 0);
        (, uint256 later) = _sums(NORTH);
        assertEq(later, before + Score.ONE / 2);
        _faultIs(jobs.siteId(jobId, 0), 12, 1);
        _expect(_wrongState(pool[0], 8, 3));
        jobs.settleSite(jobId, 0);
        _expect(_wrongState(pool[1], 1, 3));
        jobs.settleSite(jobId, 1);
    }

    function test_SettleSiteRefusesSitesThatDidNotCount() public {
        bytes32 jobId = _running(4);
        _commitSite(jobId, 0, false);
        _commitSite(jobId, 1, true);
        _commitSite(jobId, 2, true);
        _commitSite(jobId, 3, true);
        jobs.release(jobId);
        _confirm(jobId, 5);
        _expect(_wrongState(pool[0], 4, 6));
        jobs.settleSite(jobId, 0);
    }

    function test_SettleSiteRefusesBeforeTheJobIsSettled() public {
        bytes32 jobId = _releasedJob(1);
        _expect(abi.encodeWithSelector(IComputeJobs.NotSettled.selector, jobId));
        jobs.settleSite(jobId, 0);
        bytes32 other = _running(1);
        _expect(_jobState(other, RUNNING, RELEASED));
        jobs.settleSite(other, 0);
    }

    // ── views ──

    function test_ViewsPartiesOfJobsAndSites() public {
        bytes32 jobId = _funded(3);
        _permitSite(jobId, 1);
        (bytes16 owner, bytes16 requester) = jobs.partiesOf(jobId);
        assertEq(owner, INSPECTORATE);
        assertEq(requester, SOUTH);
        (owner, requester) = jobs.partiesOf(jobs.siteId(jobId, 1));
        assertEq(owner, NORTH);
        assertEq(requester, SOUTH);
        (owner, requester) = jobs.partiesOf(jobs.siteId(jobId, 0));
        assertEq(owner, 0, "it has not permitted");
        (owner, requester) = jobs.partiesOf("nothing");
        assertEq(owner, 0);
        assertEq(jobs.siteId(jobId, 1), keccak256(abi.encode(jobId, uint8(1))));
    }

    function test_ViewsFaultsOfSilentSitesOnly() public {
        bytes32 jobId = _running(1);
        _faultIs(jobId, 0, 0);
        _faultIs(jobs.siteId(jobId, 0), 0, 0);
        vm.warp(jobs.job(jobId).runBy + 1);
        _faultIs(jobs.siteId(jobId, 0), 0, 0);
        jobs.timeout(jobId);
        _faultIs(jobs.siteId(jobId, 0), 12, 1);
        _faultIs(jobId, 0, 0);
    }

    // ── helpers ──

    function _orderDigest(IComputeJobs.JobOrder memory o) private view returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(keccak256(bytes(ORDER)), o));
        return _digest(address(jobs), "ComputeJobs", structHash);
    }

    function _refuses(
        IComputeJobs.JobOrder memory o,
        bytes16[] memory datasets,
        bytes memory refusal
    ) private {
        vm.prank(south.addr);
        _expect(refusal);
        jobs.order(o, datasets);
    }

    function _fundedFree() private returns (bytes32 jobId) {
        jobId = _ordered(1);
        vm.prank(inspectorate.addr);
        jobs.quote(jobId, 0);
        vm.prank(south.addr);
        jobs.fund(jobId);
        _jobIs(jobId, FUNDED);
    }

    function _cancel(bytes32 jobId) private {
        vm.prank(south.addr);
        jobs.cancel(jobId);
    }

    function _fail(bytes32 jobId, uint8 site, uint8 code) private {
        vm.prank(north.addr);
        jobs.fail(jobId, site, code);
    }

    function _confirm(bytes32 jobId, uint8 quality) private {
        vm.prank(south.addr);
        jobs.confirm(jobId, quality);
    }

    function _auth(Vm.Wallet memory wallet, string memory act, bytes memory parameters)
        private
        view
        returns (IModule.Auth memory)
    {
        return _consent(wallet, address(jobs), "ComputeJobs", act, parameters);
    }

    function _faultIs(bytes32 id, uint8 faultCode, uint8 side) private view {
        (uint8 code, uint8 whose) = jobs.faultOf(id);
        assertEq(code, faultCode, "fault");
        assertEq(whose, side, "side");
    }

    function _notAscending(bytes16 dataset) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IComputeJobs.NotAscending.selector, dataset);
    }

    function _notCompatible(bytes16 dataset) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IComputeJobs.NotCompatible.selector, dataset);
    }

    function _notAllowed(bytes32 algId) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IComputeJobs.AlgorithmNotAllowed.selector, algId);
    }
}
