// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAlgorithmRegistry} from "../interfaces/IAlgorithmRegistry.sol";
import {IComputeJobs} from "../interfaces/IComputeJobs.sol";
import {IDatasetCatalog} from "../interfaces/IDatasetCatalog.sol";
import {IPrivacyLedger} from "../interfaces/IPrivacyLedger.sol";
import {Codes} from "../libraries/Codes.sol";
import {GrantRules} from "../libraries/GrantRules.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";
import {Score} from "../libraries/Score.sol";

/// @title ComputeJobs, as specified in `interfaces/IComputeJobs.sol`.
contract ComputeJobs is Module, IComputeJobs {
    // ── types ──

    /// @dev `IComputeJobs.Job`, packed into five slots; `locked` while its price is held.
    struct Stored {
        bytes16 customer;
        bytes16 service;
        bytes32 algId;
        bytes32 paramsHash;
        uint16 purpose;
        uint32 epsMilli;
        State state;
        uint8 sites;
        uint8 permitted;
        uint8 declined;
        uint8 committed;
        uint64 maxPrice;
        uint64 price;
        uint40 permitBy;
        uint40 runBy;
        uint40 settleBy;
        uint8 quality;
        bool settled;
        bool locked;
    }

    // ── constants ──

    bytes32 private constant JOB_ORDER = keccak256(
        "JobOrder(bytes16 customer,bytes16 service,bytes32 algId,bytes32 paramsHash,bytes32 sitesHash,uint16 purpose,uint32 duo,uint32 epsMilli,uint64 maxPrice,uint64 permitBy,uint64 runBy,bytes32 salt)"
    );
    bytes32 private constant QUOTE =
        keccak256("Quote(bytes32 jobId,uint64 price,uint256 nonce,uint64 deadline)");
    bytes32 private constant FUND = keccak256("Fund(bytes32 jobId,uint256 nonce,uint64 deadline)");
    bytes32 private constant PERMIT = keccak256(
        "Permit(bytes32 jobId,uint8 site,bytes32 policyHash,bytes32 permitRoot,uint8 countLog2,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant DECLINE = keccak256(
        "Decline(bytes32 jobId,uint8 site,uint8 reasonCode,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant CANCEL =
        keccak256("Cancel(bytes32 jobId,uint256 nonce,uint64 deadline)");
    bytes32 private constant START = keccak256(
        "Start(bytes32 jobId,uint8 site,bytes32 seedCommit,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant COMMIT = keccak256(
        "Commit(bytes32 jobId,uint8 site,bytes32 inputRoot,bytes32 resultHash,bytes32 receiptHash,uint32 epsSpent,bool cohortOk,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant FAIL =
        keccak256("Fail(bytes32 jobId,uint8 site,uint8 code,uint256 nonce,uint64 deadline)");
    bytes32 private constant CONFIRM =
        keccak256("Confirm(bytes32 jobId,uint8 quality,uint256 nonce,uint64 deadline)");

    uint256 private constant SITES_MAX = 16;
    /// @dev Fewest sites whose results hide each other; a job over one site needs that one.
    uint8 private constant SITES_MIN = 3;
    uint256 private constant EPS_MAX = 1000;
    /// @dev What a site pays, at most, that looked at data and has no result to show.
    uint32 private constant LOOK_EPS = 10;
    uint256 private constant QUALITY_MAX = 5;
    /// @dev Depth of a tree of hub permits, padded like consent trees.
    uint256 private constant PERMITS_MIN_LOG2 = 4;
    uint256 private constant PERMITS_MAX_LOG2 = 24;

    uint8 private constant WITHHELD_ALGORITHM = 1;
    uint8 private constant WITHHELD_COHORT = 2;

    /// @dev Kinds RESULT_SITE and SERVICE of `IIncentives.accrue`; a result is new as a whole.
    uint8 private constant ACCRUE_SITE = 2;
    uint8 private constant ACCRUE_SERVICE = 3;
    uint8 private constant NOVELTY = 10;

    // ── storage ──

    mapping(bytes32 jobId => Stored) private _jobs;
    mapping(bytes32 siteId => Site) private _sites;

    // ── constructor ──

    constructor(address authority, address directory) Module(authority, directory, "ComputeJobs") {}

    // ── until it runs ──

    /// @inheritdoc IComputeJobs
    function order(JobOrder calldata o, bytes16[] calldata datasets)
        external
        returns (bytes32 jobId)
    {
        jobId = _digestOf(o);
        _order(msg.sender, jobId, o, datasets);
    }

    /// @inheritdoc IComputeJobs
    function orderBySig(
        JobOrder calldata o,
        bytes16[] calldata datasets,
        address signer,
        bytes calldata signature
    ) external returns (bytes32 jobId) {
        jobId = _digestOf(o);
        _verifyDocument(jobId, signer, signature);
        _order(signer, jobId, o, datasets);
    }

    /// @inheritdoc IComputeJobs
    function quote(bytes32 jobId, uint64 price) external {
        _quote(msg.sender, jobId, price);
    }

    /// @inheritdoc IComputeJobs
    function quoteBySig(bytes32 jobId, uint64 price, Auth calldata auth) external {
        _quote(_verifyAct(auth, QUOTE, _words(2)), jobId, price);
    }

    /// @inheritdoc IComputeJobs
    function fund(bytes32 jobId) external {
        _fund(msg.sender, jobId);
    }

    /// @inheritdoc IComputeJobs
    function fundBySig(bytes32 jobId, Auth calldata auth) external {
        _fund(_verifyAct(auth, FUND, _words(1)), jobId);
    }

    /// @inheritdoc IComputeJobs
    function permit(
        bytes32 jobId,
        uint8 site,
        bytes32 policyHash,
        bytes32 permitRoot,
        uint8 countLog2
    ) external {
        _permit(msg.sender, jobId, site, policyHash, permitRoot, countLog2);
    }

    /// @inheritdoc IComputeJobs
    function permitBySig(
        bytes32 jobId,
        uint8 site,
        bytes32 policyHash,
        bytes32 permitRoot,
        uint8 countLog2,
        Auth calldata auth
    ) external {
        address signer = _verifyAct(auth, PERMIT, _words(5));
        _permit(signer, jobId, site, policyHash, permitRoot, countLog2);
    }

    /// @inheritdoc IComputeJobs
    function decline(bytes32 jobId, uint8 site, uint8 reasonCode) external {
        _decline(msg.sender, jobId, site, reasonCode);
    }

    /// @inheritdoc IComputeJobs
    function declineBySig(bytes32 jobId, uint8 site, uint8 reasonCode, Auth calldata auth)
        external
    {
        _decline(_verifyAct(auth, DECLINE, _words(3)), jobId, site, reasonCode);
    }

    /// @inheritdoc IComputeJobs
    function cancel(bytes32 jobId) external {
        _cancel(msg.sender, jobId);
    }

    /// @inheritdoc IComputeJobs
    function cancelBySig(bytes32 jobId, Auth calldata auth) external {
        _cancel(_verifyAct(auth, CANCEL, _words(1)), jobId);
    }

    // ── the run ──

    /// @inheritdoc IComputeJobs
    function start(bytes32 jobId, uint8 site, bytes32 seedCommit) external {
        _start(msg.sender, jobId, site, seedCommit);
    }

    /// @inheritdoc IComputeJobs
    function startBySig(bytes32 jobId, uint8 site, bytes32 seedCommit, Auth calldata auth)
        external
    {
        _start(_verifyAct(auth, START, _words(3)), jobId, site, seedCommit);
    }

    /// @inheritdoc IComputeJobs
    function commit(
        bytes32 jobId,
        uint8 site,
        bytes32 inputRoot,
        bytes32 resultHash,
        bytes32 receiptHash,
        uint32 epsSpent,
        bool cohortOk
    ) external {
        Site storage s = _started(msg.sender, jobId, site);
        (s.inputRoot, s.resultHash, s.receiptHash) = (inputRoot, resultHash, receiptHash);
        _commit(jobId, site, s, epsSpent, cohortOk);
    }

    /// @inheritdoc IComputeJobs
    function commitBySig(
        bytes32 jobId,
        uint8 site,
        bytes32 inputRoot,
        bytes32 resultHash,
        bytes32 receiptHash,
        uint32 epsSpent,
        bool cohortOk,
        Auth calldata auth
    ) external {
        Site storage s = _started(_verifyAct(auth, COMMIT, _words(7)), jobId, site);
        (s.inputRoot, s.resultHash, s.receiptHash) = (inputRoot, resultHash, receiptHash);
        _commit(jobId, site, s, epsSpent, cohortOk);
    }

    /// @inheritdoc IComputeJobs
    function fail(bytes32 jobId, uint8 site, uint8 code) external {
        _fail(msg.sender, jobId, site, code);
    }

    /// @inheritdoc IComputeJobs
    function failBySig(bytes32 jobId, uint8 site, uint8 code, Auth calldata auth) external {
        _fail(_verifyAct(auth, FAIL, _words(3)), jobId, site, code);
    }

    /// @inheritdoc IComputeJobs
    function timeout(bytes32 jobId) external {
        Stored storage j = _job(jobId);
        State state = j.state;
        if (state > State.Running) revert WrongState(jobId, uint8(state), uint8(State.Running));
        _requirePast(state < State.Permitted ? j.permitBy : j.runBy);
        bool ran = state == State.Running;
        j.state = ran ? State.TimedOut : State.Cancelled;

        if (ran) emit JobTimedOut(jobId);
        else emit JobCancelled(jobId);
        _free(jobId, j);
    }

    // ── the result ──

    /// @inheritdoc IComputeJobs
    function release(bytes32 jobId) external {
        Stored storage j = _job(jobId);
        _requireState(jobId, j, State.Committed);
        (uint16 counted, uint8 count, uint8 code) = _count(jobId, j);
        if (count < _needed(j)) {
            j.state = State.Withheld;
            emit JobWithheld(jobId, code);
            _unlock(jobId, j);
        } else {
            j.state = State.Released;
            j.settleBy = _packed(_now() + _days(Periods.RESULT_DAYS));
            _mark(jobId, j, counted);
            emit JobReleased(jobId, counted, j.settleBy);
        }
    }

    /// @inheritdoc IComputeJobs
    function confirm(bytes32 jobId, uint8 quality) external {
        _confirm(msg.sender, jobId, quality);
    }

    /// @inheritdoc IComputeJobs
    function confirmBySig(bytes32 jobId, uint8 quality, Auth calldata auth) external {
        _confirm(_verifyAct(auth, CONFIRM, _words(2)), jobId, quality);
    }

    /// @inheritdoc IComputeJobs
    function settle(bytes32 jobId) external {
        Stored storage j = _unsettled(jobId);
        _requirePast(j.settleBy);
        _settle(jobId, j, 0, false);
    }

    /// @inheritdoc IComputeJobs
    function settleSite(bytes32 jobId, uint8 site) external {
        Stored storage j = _job(jobId);
        Site storage s = _siteAt(jobId, j, site);
        bytes16 owner = _ownerOf(s.dataset);
        if (j.state == State.TimedOut) {
            _requireSite(s, SiteState.Started);
            s.state = SiteState.Blamed;
            emit SiteSettled(jobId, site, SiteState.Blamed);
            _credibility().record(owner, j.customer, Score.LATE, siteId(jobId, site));
        } else {
            _requireState(jobId, j, State.Released);
            if (!j.settled) revert NotSettled(jobId);
            _requireSite(s, SiteState.Counted);
            s.state = SiteState.Rewarded;
            emit SiteSettled(jobId, site, SiteState.Rewarded);
            _reward(owner, j, ACCRUE_SITE, siteId(jobId, site));
        }
    }

    // ── views ──

    /// @inheritdoc IComputeJobs
    function job(bytes32 jobId) external view returns (Job memory) {
        Stored memory j = _jobs[jobId];
        return Job({
            customer: j.customer,
            service: j.service,
            algId: j.algId,
            paramsHash: j.paramsHash,
            purpose: j.purpose,
            epsMilli: j.epsMilli,
            state: j.state,
            sites: j.sites,
            permitted: j.permitted,
            declined: j.declined,
            committed: j.committed,
            maxPrice: j.maxPrice,
            price: j.price,
            permitBy: j.permitBy,
            runBy: j.runBy,
            settleBy: j.settleBy,
            quality: j.quality,
            settled: j.settled
        });
    }

    /// @inheritdoc IComputeJobs
    function siteOf(bytes32 jobId, uint8 site) external view returns (Site memory) {
        return _sites[siteId(jobId, site)];
    }

    /// @inheritdoc IComputeJobs
    function siteId(bytes32 jobId, uint8 site) public pure returns (bytes32) {
        return keccak256(abi.encode(jobId, site));
    }

    /// @inheritdoc IComputeJobs
    function partiesOf(bytes32 id) external view returns (bytes16 owner, bytes16 requester) {
        Stored storage j = _jobs[id];
        if (j.state != State.None) return (j.service, j.customer);
        Site storage s = _sites[id];
        if (s.jobId == 0) return (0, 0);
        return (_ownerOf(s.dataset), _jobs[s.jobId].customer);
    }

    /// @inheritdoc IComputeJobs
    function faultOf(bytes32 id) external view returns (uint8 faultCode, uint8 side) {
        Site storage s = _sites[id];
        bool begun = s.state == SiteState.Started || s.state == SiteState.Blamed;
        if (!begun || _jobs[s.jobId].state != State.TimedOut) return (0, 0);
        return (Codes.JOB_TIMEOUT, Codes.SIDE_OWNER);
    }

    // ── acts until it runs ──

    function _order(address signer, bytes32 jobId, JobOrder calldata o, bytes16[] calldata datasets)
        private
    {
        _requireActor(signer, o.customer, Roles.RESEARCHER);
        _requireOpen(o.customer);
        Stored storage j = _jobs[jobId];
        if (j.state != State.None) revert Exists(jobId);
        _requireMayRequest(o.customer);
        _requireTerms(o);
        _requireSites(o, datasets);

        (j.customer, j.service) = (o.customer, o.service);
        (j.algId, j.paramsHash) = (o.algId, o.paramsHash);
        (j.purpose, j.epsMilli, j.state) = (o.purpose, o.epsMilli, State.Ordered);
        // At most 16.
        j.sites = uint8(datasets.length);
        j.maxPrice = o.maxPrice;
        (j.permitBy, j.runBy) = (_packed(o.permitBy), _packed(o.runBy));
        for (uint8 i = 0; i < datasets.length; ++i) {
            _sites[siteId(jobId, i)].dataset = datasets[i];
        }

        emit JobOrdered(jobId, o, datasets);
        _incentives().consume(o.customer);
    }

    function _quote(address signer, bytes32 jobId, uint64 price) private {
        Stored storage j = _job(jobId);
        _requireActor(signer, j.service, Roles.STEWARD);
        _requireOpen(j.service);
        _requireState(jobId, j, State.Ordered);
        _requireInTime(j.permitBy);
        _requireBetween(price, 0, j.maxPrice);
        (j.price, j.state) = (price, State.Quoted);

        emit JobQuoted(jobId, price);
    }

    function _fund(address signer, bytes32 jobId) private {
        Stored storage j = _job(jobId);
        _requireActor(signer, j.customer, Roles.RESEARCHER);
        _requireOpen(j.customer);
        _requireState(jobId, j, State.Quoted);
        _requireInTime(j.permitBy);
        (j.state, j.locked) = (State.Funded, j.price != 0);

        emit JobFunded(jobId);
        if (j.locked) _incentives().lock(j.customer, j.price, jobId);
    }

    function _permit(
        address signer,
        bytes32 jobId,
        uint8 site,
        bytes32 policyHash,
        bytes32 permitRoot,
        uint8 countLog2
    ) private {
        Stored storage j = _job(jobId);
        Site storage s = _siteAt(jobId, j, site);
        bytes16 owner = _requireOwner(signer, s, Roles.STEWARD);
        _requireOpen(owner);
        _requireState(jobId, j, State.Funded);
        _requireInTime(j.permitBy);
        _requireSite(s, SiteState.Awaited);
        if (!_isAllowed(s.dataset, j.algId)) revert AlgorithmNotAllowed(j.algId);
        if (permitRoot == 0) _requireBetween(countLog2, 0, 0);
        else _requireBetween(countLog2, PERMITS_MIN_LOG2, PERMITS_MAX_LOG2);

        (s.jobId, s.state, s.countLog2) = (jobId, SiteState.Permitted, countLog2);
        (s.policyHash, s.permitRoot) = (policyHash, permitRoot);
        ++j.permitted;
        _endAnswers(j);

        emit JobPermitted(jobId, site, policyHash, permitRoot, countLog2);
        _budgets().reserve(jobId, site, s.dataset, j.customer, j.epsMilli);
    }

    function _decline(address signer, bytes32 jobId, uint8 site, uint8 reasonCode) private {
        Stored storage j = _job(jobId);
        Site storage s = _siteAt(jobId, j, site);
        _requireOwner(signer, s, Roles.STEWARD);
        _requireState(jobId, j, State.Funded);
        _requireReason(reasonCode);
        bool permitted = s.state == SiteState.Permitted;
        if (!permitted) _requireSite(s, SiteState.Awaited);

        s.state = SiteState.Declined;
        ++j.declined;
        if (permitted) --j.permitted;
        bool enough = j.sites - j.declined >= _needed(j);
        if (enough) _endAnswers(j);
        else j.state = State.Cancelled;

        emit JobDeclined(jobId, site, reasonCode);
        // The site has declined already, and PrivacyLedger calls nobody.
        // slither-disable-next-line reentrancy-no-eth
        if (permitted) _budgets().release(jobId, site);
        if (enough) return;
        emit JobCancelled(jobId);
        _free(jobId, j);
    }

    function _cancel(address signer, bytes32 jobId) private {
        Stored storage j = _job(jobId);
        _requireActor(signer, j.customer, Roles.RESEARCHER);
        if (j.state > State.Permitted) {
            revert WrongState(jobId, uint8(j.state), uint8(State.Permitted));
        }
        j.state = State.Cancelled;

        emit JobCancelled(jobId);
        _free(jobId, j);
    }

    /// @dev The last answer of all sites opens the run.
    function _endAnswers(Stored storage j) private {
        if (j.permitted + j.declined == j.sites) j.state = State.Permitted;
    }

    // ── acts of the run ──

    function _start(address signer, bytes32 jobId, uint8 site, bytes32 seedCommit) private {
        Stored storage j = _job(jobId);
        Site storage s = _siteAt(jobId, j, site);
        _requireOpen(_requireOwner(signer, s, Roles.RELAYER));
        if (j.state != State.Running) _requireState(jobId, j, State.Permitted);
        _requireInTime(j.runBy);
        _requireSite(s, SiteState.Permitted);
        (s.state, s.seedCommit) = (SiteState.Started, seedCommit);
        j.state = State.Running;

        emit JobStarted(jobId, site, seedCommit);
    }

    /// @dev A site that may commit or fail now, after checking who asks.
    function _started(address signer, bytes32 jobId, uint8 site)
        private
        view
        returns (Site storage s)
    {
        Stored storage j = _job(jobId);
        s = _siteAt(jobId, j, site);
        _requireOwner(signer, s, Roles.RELAYER);
        _requireState(jobId, j, State.Running);
        _requireInTime(j.runBy);
        _requireSite(s, SiteState.Started);
    }

    function _commit(bytes32 jobId, uint8 site, Site storage s, uint32 epsSpent, bool cohortOk)
        private
    {
        Stored storage j = _jobs[jobId];
        _requireBetween(epsSpent, 0, j.epsMilli);
        (s.state, s.epsSpent, s.cohortOk) = (SiteState.Committed, epsSpent, cohortOk);
        if (++j.committed == j.permitted) j.state = State.Committed;

        emit JobCommitted(jobId, site, s.inputRoot, s.resultHash, s.receiptHash, epsSpent, cohortOk);
        _budgets().settle(jobId, site, epsSpent);
    }

    function _fail(address signer, bytes32 jobId, uint8 site, uint8 code) private {
        Site storage s = _started(signer, jobId, site);
        if (code == 0) revert OutOfBounds(0, 1, type(uint8).max);
        Stored storage j = _jobs[jobId];
        s.state = SiteState.Failed;
        j.state = State.Failed;

        emit JobFailed(jobId, site, code);
        _free(jobId, j);
    }

    // ── endings ──

    /// @dev Gives back the price and the budgets of a job that ended without a result. A site that
    /// started has looked at data and pays for it; one that only permitted pays nothing.
    function _free(bytes32 jobId, Stored storage j) private {
        _unlock(jobId, j);
        uint32 look = j.epsMilli < LOOK_EPS ? j.epsMilli : LOOK_EPS;
        IPrivacyLedger budgets = _budgets();
        for (uint8 i = 0; i < j.sites; ++i) {
            SiteState state = _sites[siteId(jobId, i)].state;
            if (state == SiteState.Permitted) budgets.release(jobId, i);
            if (state == SiteState.Started || state == SiteState.Failed) {
                budgets.settle(jobId, i, look);
            }
        }
    }

    /// @dev The sites that count, a bit each, and how many; if too few, `code` says why.
    function _count(bytes32 jobId, Stored storage j)
        private
        view
        returns (uint16 counted, uint8 count, uint8 code)
    {
        code = WITHHELD_COHORT;
        for (uint8 i = 0; i < j.sites; ++i) {
            Site storage s = _sites[siteId(jobId, i)];
            if (s.state != SiteState.Committed || !s.cohortOk) continue;
            if (!_isAllowed(s.dataset, j.algId)) {
                code = WITHHELD_ALGORITHM;
                continue;
            }
            // At most 16 sites: bit 15 is the highest.
            counted |= uint16(1) << i;
            ++count;
        }
    }

    /// @dev Marks the sites that count.
    function _mark(bytes32 jobId, Stored storage j, uint16 counted) private {
        for (uint8 i = 0; i < j.sites; ++i) {
            if (counted >> i & 1 == 1) _sites[siteId(jobId, i)].state = SiteState.Counted;
        }
    }

    function _confirm(address signer, bytes32 jobId, uint8 quality) private {
        Stored storage j = _job(jobId);
        _requireActor(signer, j.customer, Roles.RESEARCHER);
        _unsettled(jobId);
        _requireInTime(j.settleBy);
        _requireBetween(quality, 0, QUALITY_MAX);
        _settle(jobId, j, quality, true);
    }

    /// @dev Burns the price and thanks the service; sites follow by `settleSite`.
    function _settle(bytes32 jobId, Stored storage j, uint8 quality, bool confirmed) private {
        bool locked = j.locked;
        (j.quality, j.settled, j.locked) = (quality, true, false);

        emit JobSettled(jobId, quality, confirmed);
        if (locked) _incentives().burn(jobId);
        _reward(j.service, j, ACCRUE_SERVICE, jobId);
    }

    /// @dev Thanks an institution for its part. Nobody earns by working for itself.
    function _reward(bytes16 inst, Stored storage j, uint8 kind, bytes32 ref) private {
        if (inst == j.customer) return;
        _credibility().record(inst, j.customer, Score.ACCEPTED, ref);
        _incentives().accrue(inst, j.customer, kind, j.quality, NOVELTY);
    }

    /// @dev Returns the price, if the customer had locked one.
    function _unlock(bytes32 jobId, Stored storage j) private {
        if (!j.locked) return;
        j.locked = false;
        _incentives().unlock(jobId);
    }

    // ── checks ──

    function _job(bytes32 jobId) private view returns (Stored storage j) {
        j = _jobs[jobId];
        if (j.state == State.None) revert Unknown(jobId);
    }

    function _siteAt(bytes32 jobId, Stored storage j, uint8 site)
        private
        view
        returns (Site storage)
    {
        _requireBetween(site, 0, j.sites - 1);
        return _sites[siteId(jobId, site)];
    }

    function _requireState(bytes32 jobId, Stored storage j, State want) private view {
        if (j.state != want) revert WrongState(jobId, uint8(j.state), uint8(want));
    }

    function _requireSite(Site storage s, SiteState want) private view {
        if (s.state != want) revert WrongState(s.dataset, uint8(s.state), uint8(want));
    }

    /// @dev Released and neither confirmed nor settled.
    function _unsettled(bytes32 jobId) private view returns (Stored storage j) {
        j = _job(jobId);
        _requireState(jobId, j, State.Released);
        if (j.settled) revert Exists(jobId);
    }

    function _requireOwner(address signer, Site storage s, uint16 role)
        private
        view
        returns (bytes16 owner)
    {
        owner = _ownerOf(s.dataset);
        _requireActor(signer, owner, role);
    }

    /// @dev What an order says of service, algorithm, purpose, budget and time.
    function _requireTerms(JobOrder calldata o) private view {
        if (o.service == o.customer) _requireBetween(o.maxPrice, 0, 0);
        else _requireActive(o.service);
        if (!_algorithms().isReviewed(o.algId)) revert AlgorithmNotAllowed(o.algId);
        if (!GrantRules.isPurpose(o.purpose)) revert ForbiddenPurpose(o.purpose);
        _requireBetween(o.epsMilli, 1, EPS_MAX);
        _requireBetween(
            o.permitBy,
            _now() + _hours(Periods.PERMIT_MIN_HOURS),
            _now() + _days(Periods.PERMIT_MAX_DAYS)
        );
        _requireBetween(
            o.runBy,
            o.permitBy + _hours(Periods.RUN_MIN_HOURS),
            o.permitBy + _days(Periods.RUN_MAX_DAYS)
        );
    }

    /// @dev The datasets are those of the order, each once, and open for this use.
    function _requireSites(JobOrder calldata o, bytes16[] calldata datasets) private view {
        uint256 count = datasets.length;
        if (count != 1) _requireBetween(count, SITES_MIN, SITES_MAX);
        _requireHash(keccak256(abi.encode(datasets)), o.sitesHash);
        IDatasetCatalog catalog = _catalog();
        for (uint256 i = 0; i < count; ++i) {
            if (i != 0 && datasets[i] <= datasets[i - 1]) revert NotAscending(datasets[i]);
            bool fits = catalog.compatible(datasets[i], o.purpose, o.duo, Codes.COMPUTE);
            if (!fits) revert NotCompatible(datasets[i]);
        }
    }

    // ── helpers ──

    /// @dev Sites that must stay, and later count: 3, or the only one.
    function _needed(Stored storage j) private view returns (uint8) {
        return j.sites < SITES_MIN ? j.sites : SITES_MIN;
    }

    function _isAllowed(bytes16 dataset, bytes32 algId) private view returns (bool) {
        return _algorithms().isAllowed(dataset, algId, _now());
    }

    function _ownerOf(bytes16 dataset) private view returns (bytes16) {
        return _catalog().conditions(dataset).owner;
    }

    /// @dev Id of a job: the EIP-712 digest of its order.
    function _digestOf(JobOrder calldata o) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(JOB_ORDER, o)));
    }

    // ── other modules ──

    function _algorithms() private view returns (IAlgorithmRegistry) {
        return IAlgorithmRegistry(_module(Codes.ALGORITHM_REGISTRY));
    }

    function _budgets() private view returns (IPrivacyLedger) {
        return IPrivacyLedger(_module(Codes.PRIVACY_LEDGER));
    }
}
