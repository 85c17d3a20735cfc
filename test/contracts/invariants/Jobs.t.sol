// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IComputeJobs} from "../../../contracts/interfaces/IComputeJobs.sol";
import {IPrivacyLedger} from "../../../contracts/interfaces/IPrivacyLedger.sol";
import {ComputeBase} from "../ComputeBase.t.sol";

/// @notice Invariants P1 and P2: whatever customer, service, owner and time do to jobs, budgets are
/// conserved and within their caps, and a result is released only with sites that were allowed at
/// permit and at release and attested their cohort.
/// @dev Jobs run over the first sites of four datasets. The functions between the lines are what
/// the fuzzer calls, in any order; whatever is refused changes nothing.
contract JobsInvariantTest is ComputeBase {
    uint256 private constant JOBS_MAX = 6;
    uint256 private constant DATASETS = 4;

    bytes32[] private _ids;
    mapping(bytes32 siteId => bool) private _allowedAtPermit;
    mapping(bytes32 siteId => bool) private _attested;
    /// @dev What was set aside and what was used, by dataset and period, kept beside the ledger.
    mapping(bytes16 dataset => mapping(uint32 period => uint256)) private _reserved;
    mapping(bytes16 dataset => mapping(uint32 period => uint256)) private _spent;
    /// @dev When a dataset's caps were last raised, and to what they may not have come before.
    mapping(bytes16 dataset => uint64) private _raisedAt;
    mapping(bytes16 dataset => uint64) private _capBefore;
    string private _broken;

    function setUp() public override {
        super.setUp();
        bytes4[] memory selectors = new bytes4[](11);
        selectors[0] = this.order.selector;
        selectors[1] = this.price.selector;
        selectors[2] = this.permit.selector;
        selectors[3] = this.decline.selector;
        selectors[4] = this.begin.selector;
        selectors[5] = this.commit.selector;
        selectors[6] = this.stop.selector;
        selectors[7] = this.release.selector;
        selectors[8] = this.allow.selector;
        selectors[9] = this.setCap.selector;
        selectors[10] = this.wait.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    // ──────────────────────────────────────────────────────────────

    function order(uint8 sites, uint16 eps) external {
        if (_ids.length == JOBS_MAX) return;
        bytes16[] memory datasets = _sites(sites % 3 == 0 ? 1 : 3 + sites % 2);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        o.epsMilli = 1 + eps % 1000;
        vm.prank(south.addr);
        try jobs.order(o, datasets) returns (bytes32 id) {
            _ids.push(id);
        } catch {}
    }

    function price(uint256 pick, bool free) external {
        bytes32 id = _pick(pick);
        vm.prank(inspectorate.addr);
        try jobs.quote(id, free ? 0 : PRICE) {} catch {}
        vm.prank(south.addr);
        try jobs.fund(id) {} catch {}
    }

    function permit(uint256 pick, uint8 site, bool byOther) external {
        bytes32 id = _pick(pick);
        site %= uint8(DATASETS);
        bytes16 dataset = jobs.siteOf(id, site).dataset;
        (uint64 keyLeft, uint64 totalLeft) = budgets.left(dataset, SOUTH, _now());
        uint32 eps = jobs.job(id).epsMilli;
        vm.prank(byOther ? south.addr : north.addr);
        try jobs.permit(id, site, POLICY, 0, 0) {
            if (byOther) _broken = "permitted by another";
            if (eps > keyLeft || eps > totalLeft) _broken = "reserved beyond a cap";
            _allowedAtPermit[_site(id, site)] = algorithms.isAllowed(dataset, COUNT, _now());
            _reserved[dataset][_period()] += eps;
        } catch {}
    }

    function decline(uint256 pick, uint8 site) external noted {
        vm.prank(north.addr);
        try jobs.decline(_pick(pick), site % uint8(DATASETS), 1) {} catch {}
    }

    function begin(uint256 pick, uint8 site) external {
        vm.prank(north.addr);
        try jobs.start(_pick(pick), site % uint8(DATASETS), SEED) {} catch {}
    }

    function commit(uint256 pick, uint8 site, uint16 eps, bool cohortOk) external noted {
        bytes32 id = _pick(pick);
        site %= uint8(DATASETS);
        bytes32 some = keccak256("some");
        vm.prank(north.addr);
        try jobs.commit(id, site, some, some, some, eps % 1001, cohortOk) {
            if (eps % 1001 > jobs.job(id).epsMilli) _broken = "spent more than was asked";
            _attested[_site(id, site)] = cohortOk;
        } catch {}
    }

    /// @dev The ways to end without a result.
    function stop(uint256 pick, uint8 site, uint8 how) external noted {
        bytes32 id = _pick(pick);
        if (how % 3 == 0) {
            vm.prank(north.addr);
            try jobs.fail(id, site % uint8(DATASETS), 1) {} catch {}
        } else if (how % 3 == 1) {
            vm.prank(south.addr);
            try jobs.cancel(id) {} catch {}
        } else {
            try jobs.timeout(id) {} catch {}
        }
    }

    /// @dev Releases, confirms and settles, as far as the job is.
    function release(uint256 pick, uint8 quality) external {
        bytes32 id = _pick(pick);
        try jobs.release(id) {
            _check(id);
        } catch {}
        vm.prank(south.addr);
        try jobs.confirm(id, quality % 6) {} catch {}
        for (uint8 i = 0; i < DATASETS; ++i) {
            try jobs.settleSite(id, i) {} catch {}
        }
    }

    function allow(uint8 dataset, bool allowed) external {
        vm.startPrank(north.addr);
        if (allowed) algorithms.allow(pool[dataset % DATASETS], COUNT, _now() + 20 * DAY);
        else try algorithms.disallow(pool[dataset % DATASETS], COUNT) {} catch {}
        vm.stopPrank();
    }

    function setCap(uint8 dataset, uint64 requesterCap, uint64 totalCap) external {
        bytes16 id = pool[dataset % DATASETS];
        (uint64 keyLeft,) = budgets.left(id, SOUTH, _now());
        IPrivacyLedger.Spent memory used = _usedBySouth(id);
        vm.prank(north.addr);
        budgets.setCap(id, requesterCap % 20_001, totalCap % 100_001);
        (_raisedAt[id], _capBefore[id]) = (_now(), keyLeft + used.spent + used.reserved);
    }

    function wait(uint32 secs) external {
        vm.warp(_now() + secs % (2 * DAY));
    }

    // ──────────────────────────────────────────────────────────────

    function invariant_BudgetsHoldAndResultsAreEarned() public view {
        assertEq(_broken, "");
        uint32 first = uint32(START / 90 days);
        for (uint256 i = 0; i < DATASETS; ++i) {
            bytes16 dataset = pool[i];
            for (uint32 p = first; p <= _period(); ++p) {
                IPrivacyLedger.Spent memory total = budgets.spentOf(dataset, p);
                assertEq(total.spent, _spent[dataset][p], "spent");
                assertEq(total.reserved, _reserved[dataset][p], "reserved");
            }
            if (_raisedAt[dataset] == 0 || _now() >= _raisedAt[dataset] + 7 * DAY) continue;
            (uint64 keyLeft,) = budgets.left(dataset, SOUTH, _now());
            IPrivacyLedger.Spent memory used = _usedBySouth(dataset);
            if (keyLeft == 0) continue;
            assertLe(keyLeft + used.spent + used.reserved, _capBefore[dataset], "rose too soon");
        }
    }

    /// @dev P2: each site that counts was allowed when it permitted, is allowed now and attested.
    function _check(bytes32 id) private {
        IComputeJobs.Job memory j = jobs.job(id);
        uint256 counted = 0;
        for (uint8 i = 0; i < j.sites; ++i) {
            IComputeJobs.Site memory s = jobs.siteOf(id, i);
            bytes32 site = _site(id, i);
            bool earned = _allowedAtPermit[site] && _attested[site]
                && algorithms.isAllowed(s.dataset, COUNT, _now());
            bool counts = s.state == IComputeJobs.SiteState.Counted;
            if (counts && !earned) _broken = "counted without right";
            if (earned) ++counted;
        }
        bool enough = counted >= (j.sites < 3 ? j.sites : 3);
        if (enough != (j.state == IComputeJobs.State.Released)) {
            _broken = "released with too few, or withheld with enough";
        }
    }

    /// @dev After an act that may end reservations: moves what ended to what was spent.
    modifier noted() {
        uint8[] memory before = _states();
        _;
        uint8[] memory present = _states();
        for (uint256 i = 0; i < _ids.length; ++i) {
            for (uint8 site = 0; site < DATASETS; ++site) {
                uint256 row = i * DATASETS + site;
                if (before[row] == present[row]) continue;
                IPrivacyLedger.Reservation memory r = budgets.reservation(_ids[i], site);
                _reserved[r.dataset][r.period] -= r.eps;
                _spent[r.dataset][r.period] += _used(_ids[i], site, r);
            }
        }
    }

    /// @dev What a reservation that ended cost, by the rules: what a site committed to; at most 10
    /// for one that started and has no result; nothing for one that only permitted.
    function _used(bytes32 id, uint8 site, IPrivacyLedger.Reservation memory r)
        private
        view
        returns (uint256)
    {
        IComputeJobs.Site memory s = jobs.siteOf(id, site);
        if (s.state == IComputeJobs.SiteState.Committed) return s.epsSpent;
        bool looked =
            s.state == IComputeJobs.SiteState.Started || s.state == IComputeJobs.SiteState.Failed;
        if (!looked) return 0;
        return r.eps < 10 ? r.eps : 10;
    }

    /// @dev State of each reservation of each job.
    function _states() private view returns (uint8[] memory states) {
        states = new uint8[](_ids.length * DATASETS);
        for (uint256 i = 0; i < _ids.length; ++i) {
            for (uint8 site = 0; site < DATASETS; ++site) {
                states[i * DATASETS + site] = uint8(budgets.reservation(_ids[i], site).state);
            }
        }
    }

    /// @dev What the south's group, number 2, used of a dataset in this period.
    function _usedBySouth(bytes16 dataset) private view returns (IPrivacyLedger.Spent memory) {
        return budgets.spentBy(dataset, bytes32(uint256(2)), _period());
    }

    function _site(bytes32 id, uint8 site) private pure returns (bytes32) {
        return keccak256(abi.encode(id, site));
    }

    function _pick(uint256 pick) private view returns (bytes32) {
        return _ids.length == 0 ? bytes32(0) : _ids[pick % _ids.length];
    }
}
