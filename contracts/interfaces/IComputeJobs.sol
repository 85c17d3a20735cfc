// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title ComputeJobs: results travel, records stay.
/// @notice A customer orders a computation over one dataset, or over 3 to 16 of them (*sites*, by
/// their place in the order). Each owner permits it for its own site, runs it at home, and commits
/// to the result before a byte of it leaves. Neither parameters nor results appear here.
interface IComputeJobs is IModule {
    /// @notice Ordered → Quoted → Funded → Permitted → Running → Committed → Released |
    /// Withheld.
    /// Ordered, Quoted, Funded, Permitted → Cancelled. Running → Failed | TimedOut.
    enum State {
        None,
        Ordered,
        Quoted,
        Funded,
        Permitted,
        Running,
        Committed,
        Released,
        Withheld,
        Cancelled,
        Failed,
        TimedOut
    }

    /// @notice Awaited → Permitted → Started → Committed → Counted → Rewarded. Awaited,
    /// Permitted →
    /// Declined. Started → Failed | Blamed. A site stays where it is when its job ends before it.
    enum SiteState {
        Awaited,
        Permitted,
        Declined,
        Started,
        Committed,
        Failed,
        Counted,
        Rewarded,
        Blamed
    }

    /// @notice Document: what a customer orders. Its digest is the job's id.
    /// @param service Institution that runs the merge; the customer itself for a price of 0.
    /// @param paramsHash Commitment to the parameters, which the owners get from edge to edge.
    /// @param sitesHash `keccak256(abi.encode(bytes16[] datasets))`.
    /// @param purpose HL7 v3 or EHDS purpose.
    /// @param duo One permission and the modifiers promised.
    /// @param epsMilli Privacy budget asked of each site in mε, 1…1 000.
    /// @param maxPrice Most that the customer pays, in µcredits.
    /// @param permitBy Last second for price, funds and permits: 1 h to 60 d from now.
    /// @param runBy Last second for the run: 1 h to 60 d after `permitBy`.
    struct JobOrder {
        bytes16 customer;
        bytes16 service;
        bytes32 algId;
        bytes32 paramsHash;
        bytes32 sitesHash;
        uint16 purpose;
        uint32 duo;
        uint32 epsMilli;
        uint64 maxPrice;
        uint64 permitBy;
        uint64 runBy;
        bytes32 salt;
    }

    /// @notice A job. Times in seconds since 1970; the rest as in the order.
    /// @param sites Sites ordered, 1 or 3…16.
    /// @param permitted Sites that permitted and did not decline later.
    /// @param declined Sites that declined.
    /// @param committed Sites whose result is committed.
    /// @param price What was quoted, in µcredits; 0 before.
    /// @param settleBy Once Released: last second for the customer to confirm.
    /// @param quality As the customer judged, 0…5; 0 if it stayed silent.
    /// @param settled Whether confirmation or silence settled it.
    struct Job {
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
        uint64 permitBy;
        uint64 runBy;
        uint64 settleBy;
        uint8 quality;
        bool settled;
    }

    /// @notice One site of a job.
    /// @param jobId The job; 0 before the site permits.
    /// @param countLog2 Depth of the tree of hub permits; 0 without hubs.
    /// @param cohortOk The owner attested a cohort of at least `minCohort`.
    /// @param epsSpent mε that the result cost.
    /// @param policyHash Commitment to the thresholds in force at the site.
    /// @param permitRoot Root over the permits of hubs; 0 without hubs.
    /// @param seedCommit Commitment to the seed of the noise, made before data was touched.
    /// @param inputRoot Root over the record leaves that were used.
    /// @param receiptHash Digest of the site's `ResultReceipt`.
    struct Site {
        bytes16 dataset;
        SiteState state;
        uint8 countLog2;
        bool cohortOk;
        uint32 epsSpent;
        bytes32 jobId;
        bytes32 policyHash;
        bytes32 permitRoot;
        bytes32 seedCommit;
        bytes32 inputRoot;
        bytes32 resultHash;
        bytes32 receiptHash;
    }

    event JobOrdered(bytes32 indexed jobId, JobOrder o, bytes16[] datasets);
    event JobQuoted(bytes32 indexed jobId, uint64 price);
    event JobFunded(bytes32 indexed jobId);
    event JobPermitted(
        bytes32 indexed jobId, uint8 site, bytes32 policyHash, bytes32 permitRoot, uint8 countLog2
    );
    event JobDeclined(bytes32 indexed jobId, uint8 site, uint8 reasonCode);
    event JobStarted(bytes32 indexed jobId, uint8 site, bytes32 seedCommit);
    event JobCommitted(
        bytes32 indexed jobId,
        uint8 site,
        bytes32 inputRoot,
        bytes32 resultHash,
        bytes32 receiptHash,
        uint32 epsSpent,
        bool cohortOk
    );
    event JobFailed(bytes32 indexed jobId, uint8 site, uint8 code);

    /// @notice Results may travel. Bit n of `counted` says that site n is among them.
    event JobReleased(bytes32 indexed jobId, uint16 counted, uint64 settleBy);

    /// @notice Results stay at home.
    /// @param code 1 the algorithm is no longer allowed at enough sites, 2 too few sites attested
    /// their cohort.
    event JobWithheld(bytes32 indexed jobId, uint8 code);

    /// @notice The customer judged (`confirmed`), or its time to do so went by.
    event JobSettled(bytes32 indexed jobId, uint8 quality, bool confirmed);

    /// @notice A site's owner was thanked (`state` Rewarded) or blamed (Blamed).
    event SiteSettled(bytes32 indexed jobId, uint8 site, SiteState state);

    event JobTimedOut(bytes32 indexed jobId);
    event JobCancelled(bytes32 indexed jobId);

    /// @notice Nobody may ask for this purpose.
    error ForbiddenPurpose(uint16 purpose);
    /// @notice Not reviewed, or not allowed on the dataset.
    error AlgorithmNotAllowed(bytes32 algId);
    /// @notice The dataset is not live, not open for computing, or not for this use.
    error NotCompatible(bytes16 dataset);
    /// @notice The customer has neither confirmed nor let its time go by.
    error NotSettled(bytes32 jobId);
    /// @notice Datasets stand in ascending order, each once.
    error NotAscending(bytes16 dataset);

    // ── until it runs ──

    /// @notice Orders a job; costs quota. RESEARCHER of the customer, which is on probation or
    /// active and free of sanctions that forbid requests. Service and algorithm must be there and
    /// the use must fit each dataset.
    function order(JobOrder calldata o, bytes16[] calldata datasets)
        external
        returns (bytes32 jobId);
    function orderBySig(
        JobOrder calldata o,
        bytes16[] calldata datasets,
        address signer,
        bytes calldata signature
    ) external returns (bytes32 jobId);

    /// @notice Names the price, within the order's. STEWARD of the service, which is on probation
    /// or active.
    function quote(bytes32 jobId, uint64 price) external;
    function quoteBySig(bytes32 jobId, uint64 price, Auth calldata auth) external;

    /// @notice Locks the price. RESEARCHER of the customer, which is on probation or active.
    function fund(bytes32 jobId) external;
    function fundBySig(bytes32 jobId, Auth calldata auth) external;

    /// @notice Permits the job at one site and sets its privacy budget aside; the last answer of
    /// all sites opens the run. STEWARD of the site's owner, which is on probation or active.
    /// @param permitRoot Root over the permits of hubs whose data takes part; 0 if none does.
    /// @param countLog2 Depth of that tree, 4…24; 0 if there is none.
    function permit(
        bytes32 jobId,
        uint8 site,
        bytes32 policyHash,
        bytes32 permitRoot,
        uint8 countLog2
    ) external;
    function permitBySig(
        bytes32 jobId,
        uint8 site,
        bytes32 policyHash,
        bytes32 permitRoot,
        uint8 countLog2,
        Auth calldata auth
    ) external;

    /// @notice Keeps a site out, also after a permit, as long as others are awaited. STEWARD of the
    /// site's owner. The job is cancelled when fewer than 3 sites, or the only one, could be left.
    /// @param reasonCode 1 purpose, 2 scope, 3 consent, 4 law, 5 capacity, 6 security, 7 approval
    /// lapsed, 8 other.
    function decline(bytes32 jobId, uint8 site, uint8 reasonCode) external;
    function declineBySig(bytes32 jobId, uint8 site, uint8 reasonCode, Auth calldata auth) external;

    /// @notice Ends a job before it runs. RESEARCHER of the customer.
    function cancel(bytes32 jobId) external;
    function cancelBySig(bytes32 jobId, Auth calldata auth) external;

    // ── the run ──

    /// @notice A site begins: its seed is fixed before data is touched. RELAYER of the site's
    /// owner, which is on probation or active.
    function start(bytes32 jobId, uint8 site, bytes32 seedCommit) external;
    function startBySig(bytes32 jobId, uint8 site, bytes32 seedCommit, Auth calldata auth) external;

    /// @notice A site commits to its result and settles its budget; the last one ends the run.
    /// RELAYER of the site's owner.
    function commit(
        bytes32 jobId,
        uint8 site,
        bytes32 inputRoot,
        bytes32 resultHash,
        bytes32 receiptHash,
        uint32 epsSpent,
        bool cohortOk
    ) external;
    function commitBySig(
        bytes32 jobId,
        uint8 site,
        bytes32 inputRoot,
        bytes32 resultHash,
        bytes32 receiptHash,
        uint32 epsSpent,
        bool cohortOk,
        Auth calldata auth
    ) external;

    /// @notice A site cannot finish: the job failed. RELAYER of the site's owner. Each site that
    /// had started pays up to 10 mε, having looked at data.
    /// @param code What failed, not 0; the owner's log says the rest.
    function fail(bytes32 jobId, uint8 site, uint8 code) external;
    function failBySig(bytes32 jobId, uint8 site, uint8 code, Auth calldata auth) external;

    /// @notice Ends a job whose deadline passed. Anyone. Before the run it is cancelled; during the
    /// run it timed out, and sites that started and committed nothing are at fault.
    function timeout(bytes32 jobId) external;

    // ── the result ──

    /// @notice Decides whether results travel. Anyone. A site counts if it attested its cohort and
    /// the algorithm is still allowed on its dataset; 3 sites must count, or the only one.
    function release(bytes32 jobId) external;

    /// @notice Judges the result; burns the price and credits the service. RESEARCHER of the
    /// customer, within 7 d of the release.
    /// @param quality 0…5.
    function confirm(bytes32 jobId, uint8 quality) external;
    function confirmBySig(bytes32 jobId, uint8 quality, Auth calldata auth) external;

    /// @notice The same after 7 d of silence, with quality 0. Anyone.
    function settle(bytes32 jobId) external;

    /// @notice Thanks the owner of a site that counted in a settled job, or blames the one that
    /// stayed silent in a job that timed out; once. Anyone. It is a call of its own, since a job
    /// has up to 16 sites and no call costs more than 1 000 000 gas.
    function settleSite(bytes32 jobId, uint8 site) external;

    // ── views ──

    /// @notice A job; state None if unknown.
    function job(bytes32 jobId) external view returns (Job memory);

    /// @notice A site of a job.
    function siteOf(bytes32 jobId, uint8 site) external view returns (Site memory);

    /// @notice Under which id a complaint names one site: `keccak256(abi.encode(bytes32 jobId,
    /// uint8 site))`.
    function siteId(bytes32 jobId, uint8 site) external pure returns (bytes32);

    /// @notice Who can complain about whom. Of a job: service and customer. Of a site that
    /// permitted (`siteId`): its owner and the customer. Zeros for any other id.
    function partiesOf(bytes32 id) external view returns (bytes16 owner, bytes16 requester);

    /// @notice The fault established by rule about a site (12 JOB_TIMEOUT, side 1), or zeros.
    function faultOf(bytes32 id) external view returns (uint8 faultCode, uint8 side);
}
