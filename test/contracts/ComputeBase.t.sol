// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IAlgorithmRegistry} from "../../contracts/interfaces/IAlgorithmRegistry.sol";
import {IComputeJobs} from "../../contracts/interfaces/IComputeJobs.sol";
import {IPrivacyLedger} from "../../contracts/interfaces/IPrivacyLedger.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @title The south orders what the inspectorate merges over datasets of the north.
abstract contract ComputeBase is AccessBase {
    bytes32 internal constant COUNT = keccak256("msnet/builtin/count/1");
    bytes32 internal constant POLICY = keccak256("test/policy");
    bytes32 internal constant SEED = keccak256("test/seed");
    uint64 internal constant PRICE = 3_000_000;
    uint32 internal constant EPS = 500;

    IAlgorithmRegistry internal algorithms;
    IComputeJobs internal jobs;
    IPrivacyLedger internal budgets;

    /// @dev Sixteen datasets of the north in ascending order; the first ones make a job.
    bytes16[] internal pool;

    uint256 private _orders;

    function setUp() public virtual override {
        super.setUp();
        algorithms = IAlgorithmRegistry(_at(Codes.ALGORITHM_REGISTRY));
        jobs = IComputeJobs(_at(Codes.COMPUTE_JOBS));
        budgets = IPrivacyLedger(_at(Codes.PRIVACY_LEDGER));
        for (uint256 i = 0; i < 16; ++i) {
            // Cast: small numbers, left-aligned in ascending order.
            bytes16 id = bytes16(uint128(0xdd00 + i) << 64);
            pool.push(id);
            _publish(id, Codes.DUO_GRU | Codes.DUO_IRB, Codes.COMPUTE);
            vm.prank(north.addr);
            algorithms.allow(id, COUNT, _now() + 365 * DAY);
        }
        _earn(SOUTH, 20);
    }

    /// @dev Gives an institution credits, by as many good deliveries.
    function _earn(bytes16 inst, uint256 count) internal {
        address accruer = address(ledger);
        for (uint256 i = 0; i < count; ++i) {
            vm.prank(accruer);
            incentives.accrue(inst, INSPECTORATE, 1, 5, 10);
        }
    }

    // ── orders ──

    function _sites(uint256 count) internal view returns (bytes16[] memory datasets) {
        datasets = new bytes16[](count);
        for (uint256 i = 0; i < count; ++i) {
            datasets[i] = pool[i];
        }
    }

    /// @dev An order in good form over these datasets; each call has its own salt.
    function _orderOf(bytes16[] memory datasets) internal returns (IComputeJobs.JobOrder memory) {
        return IComputeJobs.JobOrder({
            customer: SOUTH,
            service: INSPECTORATE,
            algId: COUNT,
            paramsHash: keccak256("test/params"),
            sitesHash: keccak256(abi.encode(datasets)),
            purpose: 5,
            duo: Codes.DUO_HMB | Codes.DUO_IRB,
            epsMilli: EPS,
            maxPrice: PRICE,
            permitBy: _now() + 3 * DAY,
            runBy: _now() + 6 * DAY,
            salt: keccak256(abi.encode("order", ++_orders))
        });
    }

    function _place(IComputeJobs.JobOrder memory o, bytes16[] memory datasets)
        internal
        returns (bytes32)
    {
        vm.prank(south.addr);
        return jobs.order(o, datasets);
    }

    // ── a job at each stage ──

    function _ordered(uint256 sites) internal returns (bytes32) {
        bytes16[] memory datasets = _sites(sites);
        return _place(_orderOf(datasets), datasets);
    }

    function _quoted(uint256 sites) internal returns (bytes32 jobId) {
        jobId = _ordered(sites);
        vm.prank(inspectorate.addr);
        jobs.quote(jobId, PRICE);
    }

    function _funded(uint256 sites) internal returns (bytes32 jobId) {
        jobId = _quoted(sites);
        vm.prank(south.addr);
        jobs.fund(jobId);
    }

    function _permitSite(bytes32 jobId, uint8 site) internal {
        vm.prank(north.addr);
        jobs.permit(jobId, site, POLICY, 0, 0);
    }

    function _declineSite(bytes32 jobId, uint8 site) internal {
        vm.prank(north.addr);
        jobs.decline(jobId, site, 1);
    }

    function _startSite(bytes32 jobId, uint8 site) internal {
        vm.prank(north.addr);
        jobs.start(jobId, site, SEED);
    }

    function _commitSite(bytes32 jobId, uint8 site, bool cohortOk) internal {
        vm.prank(north.addr);
        jobs.commit(
            jobId,
            site,
            keccak256("test/input"),
            keccak256("test/result"),
            keccak256("test/receipt"),
            400,
            cohortOk
        );
    }

    function _permitted(uint8 sites) internal returns (bytes32 jobId) {
        jobId = _funded(sites);
        for (uint8 i = 0; i < sites; ++i) {
            _permitSite(jobId, i);
        }
    }

    function _running(uint8 sites) internal returns (bytes32 jobId) {
        jobId = _permitted(sites);
        for (uint8 i = 0; i < sites; ++i) {
            _startSite(jobId, i);
        }
    }

    function _committed(uint8 sites) internal returns (bytes32 jobId) {
        jobId = _running(sites);
        for (uint8 i = 0; i < sites; ++i) {
            _commitSite(jobId, i, true);
        }
    }

    function _releasedJob(uint8 sites) internal returns (bytes32 jobId) {
        jobId = _committed(sites);
        jobs.release(jobId);
    }

    // ── what must hold ──

    function _jobIs(bytes32 jobId, IComputeJobs.State state) internal view {
        assertEq(uint8(jobs.job(jobId).state), uint8(state), "job's state");
    }

    function _siteIs(bytes32 jobId, uint8 site, IComputeJobs.SiteState state) internal view {
        assertEq(uint8(jobs.siteOf(jobId, site).state), uint8(state), "site's state");
    }

    function _period() internal view returns (uint32) {
        return uint32(_now() / 90 days);
    }

    function _budgetIs(bytes16 dataset, uint64 spent, uint64 reserved) internal view {
        IPrivacyLedger.Spent memory total = budgets.spentOf(dataset, _period());
        assertEq(total.spent, spent, "spent");
        assertEq(total.reserved, reserved, "reserved");
    }

    function _jobState(bytes32 jobId, IComputeJobs.State have, IComputeJobs.State want)
        internal
        pure
        returns (bytes memory)
    {
        return _wrongState(jobId, uint8(have), uint8(want));
    }
}
