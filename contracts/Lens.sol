// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessRegistry} from "./interfaces/IAccessRegistry.sol";
import {IArbitration} from "./interfaces/IArbitration.sol";
import {IComputeJobs} from "./interfaces/IComputeJobs.sol";
import {ICredibility} from "./interfaces/ICredibility.sol";
import {IDataHubRegistry} from "./interfaces/IDataHubRegistry.sol";
import {IDatasetCatalog} from "./interfaces/IDatasetCatalog.sol";
import {IDeliveryLedger} from "./interfaces/IDeliveryLedger.sol";
import {IDirectory} from "./interfaces/IDirectory.sol";
import {IIncentives} from "./interfaces/IIncentives.sol";
import {IInstitutionRegistry} from "./interfaces/IInstitutionRegistry.sol";
import {IJudgePool} from "./interfaces/IJudgePool.sol";
import {IKeyRegistry} from "./interfaces/IKeyRegistry.sol";
import {ILens} from "./interfaces/ILens.sol";
import {ISanctions} from "./interfaces/ISanctions.sol";
import {ISupervision} from "./interfaces/ISupervision.sol";
import {Codes} from "./libraries/Codes.sol";

/// @title Lens: what a page about one thing shows, in one call.
contract Lens is ILens {
    // ── constants and immutables ──

    uint256 private constant KEYS_MAX = 64;
    uint256 private constant KINDS = 5;
    /// @dev Most keys of one kind that KeyRegistry keeps for a subject.
    uint256 private constant KEYS_PER_KIND = 16;

    /// @inheritdoc ILens
    IDirectory public immutable DIRECTORY;

    constructor(address directory) {
        DIRECTORY = IDirectory(directory);
    }

    // ── pages ──

    /// @inheritdoc ILens
    function institutionPage(bytes16 id) external view returns (InstitutionPage memory page) {
        IInstitutionRegistry institutions =
            IInstitutionRegistry(_module(Codes.INSTITUTION_REGISTRY));
        page.institution = institutions.institution(id);
        page.status = institutions.standing(id).status;
        // Basis points say what the fixed-point values do.
        // slither-disable-next-line unused-return
        (,, page.meanBps, page.lcbBps, page.events) =
            ICredibility(_module(Codes.CREDIBILITY)).score(id, uint64(block.timestamp));
        IIncentives incentives = IIncentives(_module(Codes.INCENTIVES));
        page.credits = incentives.creditsOf(id);
        (page.quotaUnits, page.requestCost, page.requestFrom) = incentives.quota(id);
        page.level = _sanctions().levelOf(id);
        page.sanctions = _sanctionsOf(id);
        page.openCases = _supervision().openCases(id);
        page.seat = IJudgePool(_module(Codes.JUDGE_POOL)).seatOf(id);
    }

    /// @inheritdoc ILens
    function grantPage(bytes32 grantId) external view returns (GrantPage memory page) {
        IAccessRegistry access = _access();
        IDeliveryLedger ledger = _ledger();
        page.grant = access.grant(grantId);
        page.live = access.liveGrant(grantId, uint64(block.timestamp));
        page.dataset = IDatasetCatalog(_module(Codes.DATASET_CATALOG)).dataset(page.grant.dataset);
        page.deliveries = ledger.lastSeq(grantId);
        (page.faultCode, page.faultSide) = access.faultOf(grantId);
        // 0 is no fault; no balance is weighed.
        // slither-disable-next-line incorrect-equality
        if (page.faultCode == 0) (page.faultCode, page.faultSide) = ledger.faultOf(grantId);
    }

    /// @inheritdoc ILens
    function deliveryPage(bytes32 grantId, uint32 seq)
        external
        view
        returns (DeliveryPage memory page)
    {
        IAccessRegistry access = _access();
        page.deliveryId = keccak256(abi.encode(grantId, seq));
        page.delivery = _ledger().delivery(page.deliveryId);
        page.grant = access.grant(grantId);
        page.live = access.liveGrant(grantId, uint64(block.timestamp));
    }

    /// @inheritdoc ILens
    function casePage(bytes32 caseId) external view returns (CasePage memory page) {
        IArbitration arbitration = _arbitration();
        ISanctions sanctions = _sanctions();
        page.complaint = _supervision().caseOf(caseId);
        page.first = arbitration.panel(caseId, 1);
        page.appeal = arbitration.appealOf(caseId);
        page.second = arbitration.panel(caseId, 2);
        bytes16 respondent = page.complaint.respondent;
        page.sanction = sanctions.sanction(keccak256(abi.encode(caseId, respondent)));
        page.interim = sanctions.sanction(keccak256(abi.encode(caseId, respondent, true)));
    }

    /// @inheritdoc ILens
    function jobPage(bytes32 jobId) external view returns (JobPage memory page) {
        IComputeJobs jobs = IComputeJobs(_module(Codes.COMPUTE_JOBS));
        page.job = jobs.job(jobId);
        page.sites = new IComputeJobs.Site[](page.job.sites);
        for (uint8 i = 0; i < page.sites.length; ++i) {
            page.sites[i] = jobs.siteOf(jobId, i);
        }
    }

    /// @inheritdoc ILens
    function hubPage(bytes16 id) external view returns (HubPage memory page) {
        page.hub = IDataHubRegistry(_module(Codes.DATA_HUB_REGISTRY)).hub(id);
        page.openCases = _supervision().openCases(id);
        page.accounts = _keys().keysOf(id, Codes.ACCOUNT);
    }

    /// @inheritdoc ILens
    function keysPage(bytes16 subject, uint256 cursor, uint256 n)
        external
        view
        returns (KeysPage memory page)
    {
        if (n == 0 || n > KEYS_MAX) revert OutOfBounds(n, 1, KEYS_MAX);
        (bytes32[] memory all, uint256 total) = _allKeys(subject);
        uint256 left = cursor < total ? total - cursor : 0;
        uint256 count = left < n ? left : n;
        page.keys = new KeyRow[](count);
        for (uint256 i = 0; i < count; ++i) {
            page.keys[i] = _keyRow(all[cursor + i]);
        }
        page.next = count < left ? cursor + count : 0;
    }

    // ── parts of pages ──

    function _sanctionsOf(bytes16 id) private view returns (ISanctions.Sanction[] memory list) {
        ISanctions sanctions = _sanctions();
        bytes32[] memory ids = sanctions.sanctions(id);
        list = new ISanctions.Sanction[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            list[i] = sanctions.sanction(ids[i]);
        }
    }

    /// @dev Keys of all kinds, the first `total` of the list.
    function _allKeys(bytes16 subject) private view returns (bytes32[] memory all, uint256 total) {
        IKeyRegistry keys = _keys();
        all = new bytes32[](KINDS * KEYS_PER_KIND);
        for (uint8 kind = Codes.ACCOUNT; kind <= Codes.SCP; ++kind) {
            bytes32[] memory held = keys.keysOf(subject, kind);
            for (uint256 i = 0; i < held.length; ++i) {
                all[total++] = held[i];
            }
        }
    }

    function _keyRow(bytes32 keyId) private view returns (KeyRow memory) {
        IKeyRegistry keys = _keys();
        return KeyRow(keyId, keys.key(keyId), keys.validAt(keyId, uint64(block.timestamp)));
    }

    // ── the modules ──

    function _module(bytes32 name) private view returns (address target) {
        target = DIRECTORY.addressOf(name);
        if (target == address(0)) revert Unknown(name);
    }

    function _access() private view returns (IAccessRegistry) {
        return IAccessRegistry(_module(Codes.ACCESS_REGISTRY));
    }

    function _ledger() private view returns (IDeliveryLedger) {
        return IDeliveryLedger(_module(Codes.DELIVERY_LEDGER));
    }

    function _supervision() private view returns (ISupervision) {
        return ISupervision(_module(Codes.SUPERVISION));
    }

    function _arbitration() private view returns (IArbitration) {
        return IArbitration(_module(Codes.ARBITRATION));
    }

    function _sanctions() private view returns (ISanctions) {
        return ISanctions(_module(Codes.SANCTIONS));
    }

    function _keys() private view returns (IKeyRegistry) {
        return IKeyRegistry(_module(Codes.KEY_REGISTRY));
    }
}
