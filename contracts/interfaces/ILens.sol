// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessRegistry} from "./IAccessRegistry.sol";
import {IArbitration} from "./IArbitration.sol";
import {IComputeJobs} from "./IComputeJobs.sol";
import {IDataHubRegistry} from "./IDataHubRegistry.sol";
import {IDatasetCatalog} from "./IDatasetCatalog.sol";
import {IDeliveryLedger} from "./IDeliveryLedger.sol";
import {IDirectory} from "./IDirectory.sol";
import {IErrors} from "./IErrors.sol";
import {IIncentives} from "./IIncentives.sol";
import {IInstitutionRegistry} from "./IInstitutionRegistry.sol";
import {IJudgePool} from "./IJudgePool.sol";
import {IKeyRegistry} from "./IKeyRegistry.sol";
import {ISanctions} from "./ISanctions.sol";
import {ISupervision} from "./ISupervision.sol";

/// @title Lens: what a page about one thing shows, in one call.
/// @notice For people and regulators who look, not for contracts. It keeps nothing and changes
/// nothing: each page is put together from the modules that hold a name in Directory now. An
/// unknown id gives a page of zeros.
interface ILens is IErrors {
    /// @notice An institution, as it stands now.
    /// @param meanBps Mean of its score, in basis points.
    /// @param lcbBps The cautious number of its score, in basis points.
    /// @param events Events behind the score.
    /// @param quotaUnits Units in its bucket of requests.
    /// @param requestCost Units of its next request.
    /// @param requestFrom When it may request next, in seconds since 1970.
    /// @param level Highest sanction in effect; 0 for none.
    /// @param sanctions Sanctions in force.
    /// @param openCases Open cases that it filed.
    /// @param seat Its seat in the pool of judges.
    struct InstitutionPage {
        IInstitutionRegistry.Institution institution;
        IInstitutionRegistry.Status status;
        uint16 meanBps;
        uint16 lcbBps;
        uint32 events;
        IIncentives.Account credits;
        uint256 quotaUnits;
        uint256 requestCost;
        uint64 requestFrom;
        uint8 level;
        ISanctions.Sanction[] sanctions;
        uint256 openCases;
        IJudgePool.Seat seat;
    }

    /// @notice A request or grant.
    /// @param live Whether data may flow under it now.
    /// @param dataset The dataset as it is now.
    /// @param deliveries Deliveries offered so far.
    /// @param faultCode Fault established about it or about its duty to deliver, and whose.
    struct GrantPage {
        IAccessRegistry.Grant grant;
        bool live;
        IDatasetCatalog.Dataset dataset;
        uint32 deliveries;
        uint8 faultCode;
        uint8 faultSide;
    }

    /// @notice A delivery, and the grant that it is made under.
    struct DeliveryPage {
        bytes32 deliveryId;
        IDeliveryLedger.Delivery delivery;
        IAccessRegistry.Grant grant;
        bool live;
    }

    /// @notice A case with its panels and what came of it.
    /// @param first The first panel; size 0 if there was none.
    /// @param second The panel on appeal.
    /// @param sanction Of the ruling.
    /// @param interim Of a panel before it.
    struct CasePage {
        ISupervision.Case complaint;
        IArbitration.Panel first;
        IArbitration.Appeal appeal;
        IArbitration.Panel second;
        ISanctions.Sanction sanction;
        ISanctions.Sanction interim;
    }

    /// @notice A job and its sites.
    struct JobPage {
        IComputeJobs.Job job;
        IComputeJobs.Site[] sites;
    }

    /// @notice A hub, with its live accounts.
    /// @param openCases Open cases that it filed.
    struct HubPage {
        IDataHubRegistry.Hub hub;
        uint256 openCases;
        bytes32[] accounts;
    }

    /// @notice One key.
    /// @param valid Whether it is valid now.
    struct KeyRow {
        bytes32 keyId;
        IKeyRegistry.Key key;
        bool valid;
    }

    /// @notice Some keys of a subject.
    /// @param next Cursor of the page that follows; 0 at the end.
    struct KeysPage {
        KeyRow[] keys;
        uint256 next;
    }

    function institutionPage(bytes16 id) external view returns (InstitutionPage memory);

    function grantPage(bytes32 grantId) external view returns (GrantPage memory);

    /// @notice The delivery of this number under a grant.
    function deliveryPage(bytes32 grantId, uint32 seq) external view returns (DeliveryPage memory);

    function casePage(bytes32 caseId) external view returns (CasePage memory);

    function jobPage(bytes32 jobId) external view returns (JobPage memory);

    function hubPage(bytes16 id) external view returns (HubPage memory);

    /// @notice Keys of a subject: accounts first, then the other kinds in their order.
    /// @param cursor 0 for the first page, then `next` of the page before.
    /// @param n Most keys on the page, 1…64.
    function keysPage(bytes16 subject, uint256 cursor, uint256 n)
        external
        view
        returns (KeysPage memory);

    /// @notice Where the modules are found.
    function DIRECTORY() external view returns (IDirectory);
}
