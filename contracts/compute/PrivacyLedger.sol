// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPrivacyLedger} from "../interfaces/IPrivacyLedger.sol";
import {Budget} from "../libraries/Budget.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title PrivacyLedger, as specified in `interfaces/IPrivacyLedger.sol`.
contract PrivacyLedger is Module, IPrivacyLedger {
    // ── types ──

    /// @dev Caps as the owner set them; `set` tells those from caps nobody set.
    struct StoredCap {
        uint64 requester;
        uint64 total;
        uint64 nextRequester;
        uint64 nextTotal;
        uint40 nextFrom;
        bool set;
    }

    // ── constants ──

    bytes32 private constant SET_CAP = keccak256(
        "SetCap(bytes16 dataset,uint64 requesterCap,uint64 totalCap,uint256 nonce,uint64 deadline)"
    );

    /// @dev Not scaled on demonstration networks: budgets are about people, not about demos.
    uint64 private constant PERIOD_SECS = 90 days;

    // ── storage ──

    mapping(bytes16 dataset => StoredCap) private _caps;
    mapping(bytes16 dataset => mapping(uint32 period => Spent)) private _total;
    mapping(bytes16 dataset => mapping(bytes32 budgetKey => mapping(uint32 period => Spent)))
        private _byKey;
    mapping(bytes32 jobId => mapping(uint8 site => Reservation)) private _reservations;

    // ── constructor ──

    constructor(address authority, address directory)
        Module(authority, directory, "PrivacyLedger")
    {}

    // ── caps ──

    /// @inheritdoc IPrivacyLedger
    function setCap(bytes16 dataset, uint64 requesterCap, uint64 totalCap) external {
        _setCap(msg.sender, dataset, requesterCap, totalCap);
    }

    /// @inheritdoc IPrivacyLedger
    function setCapBySig(bytes16 dataset, uint64 requesterCap, uint64 totalCap, Auth calldata auth)
        external
    {
        _setCap(_verifyAct(auth, SET_CAP, _words(3)), dataset, requesterCap, totalCap);
    }

    // ── budgets ──

    /// @inheritdoc IPrivacyLedger
    function reserve(bytes32 jobId, uint8 site, bytes16 dataset, bytes16 requester, uint32 eps)
        external
        restricted
    {
        if (_reservations[jobId][site].state != State.None) revert Exists(jobId);
        Reservation memory r = Reservation({
            dataset: dataset,
            budgetKey: _keyOf(requester),
            eps: eps,
            period: _periodOf(_now()),
            state: State.Reserved
        });
        _book(r);
        _reservations[jobId][site] = r;

        emit BudgetReserved(jobId, site, dataset, requester, r.budgetKey, eps, r.period);
    }

    /// @inheritdoc IPrivacyLedger
    function settle(bytes32 jobId, uint8 site, uint32 spent) external restricted {
        Reservation storage r = _reserved(jobId, site);
        if (spent > r.eps) revert OutOfBounds(spent, 0, r.eps);
        _close(r, spent, State.Settled);

        emit BudgetSettled(jobId, site, spent);
    }

    /// @inheritdoc IPrivacyLedger
    function release(bytes32 jobId, uint8 site) external restricted {
        _close(_reserved(jobId, site), 0, State.Released);

        emit BudgetReleased(jobId, site);
    }

    // ── views ──

    /// @inheritdoc IPrivacyLedger
    function left(bytes16 dataset, bytes16 requester, uint64 t)
        external
        view
        returns (uint64 requesterLeft, uint64 totalLeft)
    {
        uint32 period = _periodOf(t);
        (uint64 requesterCap, uint64 totalCap) = _capsAt(dataset, t);
        requesterLeft = Budget.left(requesterCap, _byKey[dataset][_keyOf(requester)][period]);
        totalLeft = Budget.left(totalCap, _total[dataset][period]);
    }

    /// @inheritdoc IPrivacyLedger
    function cap(bytes16 dataset) external view returns (Cap memory) {
        StoredCap memory c = _caps[dataset];
        if (!c.set) {
            return
                Cap(
                    Budget.REQUESTER_CAP,
                    Budget.TOTAL_CAP,
                    Budget.REQUESTER_CAP,
                    Budget.TOTAL_CAP,
                    0
                );
        }
        return Cap(c.requester, c.total, c.nextRequester, c.nextTotal, c.nextFrom);
    }

    /// @inheritdoc IPrivacyLedger
    function spentOf(bytes16 dataset, uint32 period) external view returns (Spent memory) {
        return _total[dataset][period];
    }

    /// @inheritdoc IPrivacyLedger
    function spentBy(bytes16 dataset, bytes32 budgetKey, uint32 period)
        external
        view
        returns (Spent memory)
    {
        return _byKey[dataset][budgetKey][period];
    }

    /// @inheritdoc IPrivacyLedger
    function reservation(bytes32 jobId, uint8 site) external view returns (Reservation memory) {
        return _reservations[jobId][site];
    }

    // ── acts ──

    function _setCap(address signer, bytes16 dataset, uint64 requesterCap, uint64 totalCap)
        private
    {
        bytes16 owner = _catalog().conditions(dataset).owner;
        if (owner == 0) revert Unknown(dataset);
        _requireActor(signer, owner, Roles.STEWARD);
        _requireBetween(requesterCap, 0, Budget.REQUESTER_CAP_MAX);
        _requireBetween(totalCap, 0, Budget.TOTAL_CAP_MAX);

        (uint64 requester, uint64 total) = _capsAt(dataset, _now());
        bool raised = requesterCap > requester || totalCap > total;
        uint40 from = raised ? _packed(_now() + _days(Periods.CAP_RAISE_DAYS)) : 0;
        _caps[dataset] = StoredCap({
            requester: requesterCap < requester ? requesterCap : requester,
            total: totalCap < total ? totalCap : total,
            nextRequester: requesterCap,
            nextTotal: totalCap,
            nextFrom: from,
            set: true
        });

        emit CapSet(dataset, requesterCap, totalCap, raised ? from : _now());
    }

    /// @dev Sets a reservation's budget aside, if both caps leave as much.
    function _book(Reservation memory r) private {
        Spent storage byKey = _byKey[r.dataset][r.budgetKey][r.period];
        Spent storage total = _total[r.dataset][r.period];
        (uint64 requesterCap, uint64 totalCap) = _capsAt(r.dataset, _now());
        uint64 requesterLeft = Budget.left(requesterCap, byKey);
        uint64 totalLeft = Budget.left(totalCap, total);
        uint64 free = requesterLeft < totalLeft ? requesterLeft : totalLeft;
        if (r.eps > free) revert BudgetExceeded(r.dataset, free);
        Budget.reserve(byKey, r.eps);
        Budget.reserve(total, r.eps);
    }

    /// @dev Ends a reservation: `spent` of it is used, the rest is free.
    function _close(Reservation storage r, uint32 spent, State state) private {
        Budget.settle(_byKey[r.dataset][r.budgetKey][r.period], r.eps, spent);
        Budget.settle(_total[r.dataset][r.period], r.eps, spent);
        r.state = state;
    }

    // ── helpers ──

    function _reserved(bytes32 jobId, uint8 site) private view returns (Reservation storage r) {
        r = _reservations[jobId][site];
        if (r.state == State.None) revert Unknown(jobId);
        if (r.state != State.Reserved) {
            revert WrongState(jobId, uint8(r.state), uint8(State.Reserved));
        }
    }

    function _capsAt(bytes16 dataset, uint64 t)
        private
        view
        returns (uint64 requesterCap, uint64 totalCap)
    {
        StoredCap storage c = _caps[dataset];
        if (!c.set) return (Budget.REQUESTER_CAP, Budget.TOTAL_CAP);
        bool risen = c.nextFrom != 0 && t >= c.nextFrom;
        return risen ? (c.nextRequester, c.nextTotal) : (c.requester, c.total);
    }

    /// @dev A group shares one budget, or its members could ask in turns. A group stands at the
    /// right of the word and an institution at its left, so that no key is both.
    function _keyOf(bytes16 requester) private view returns (bytes32) {
        uint32 group = _institutions().standing(requester).group;
        return group == 0 ? bytes32(requester) : bytes32(uint256(group));
    }

    /// @dev The cast holds for the next billion years.
    function _periodOf(uint64 t) private pure returns (uint32) {
        return uint32(t / PERIOD_SECS);
    }
}
