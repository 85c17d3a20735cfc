// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RateLimiter} from "@openzeppelin/contracts/utils/RateLimiter.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IIncentives} from "../interfaces/IIncentives.sol";
import {Module} from "../libraries/Module.sol";

/// @title Incentives: credits and request quota.
// States, kinds and numbers are compared with one of their values; no balance is weighed.
// slither-disable-start incorrect-equality
contract Incentives is Module, IIncentives {
    using RateLimiter for RateLimiter.RefillingBucket;
    using SafeCast for uint256;

    // ── types ──

    /// @dev What was accrued in one epoch: by a pair, or by an institution for one flat kind.
    struct Tally {
        uint32 epoch;
        uint32 count;
        uint64 earned;
    }

    /// @dev Credits held for a case or job.
    struct Hold {
        bytes16 inst;
        uint64 amount;
    }

    // ── constants ──

    uint64 private constant CREDIT = 1_000_000;

    uint8 private constant DELIVERY = 1;
    uint8 private constant RESULT_SITE = 2;
    uint8 private constant PANEL = 4;
    uint8 private constant ALGORITHM_REVIEW = 5;

    uint256 private constant QUALITY_MAX = 5;
    uint256 private constant NOVELTY_MAX = 10;

    /// @dev Most that one pair earns in an epoch, so that trading with each other gains little.
    uint256 private constant PAIR_EPOCH_CAP = 40 * CREDIT;
    /// @dev Flat accruals of one kind that count in an epoch.
    uint256 private constant FLAT_PER_EPOCH = 4;

    /// @dev Most that governance may give an institution in an epoch.
    uint256 private constant ALLOTMENT_EPOCH_CAP = 1000 * CREDIT;

    uint256 private constant EPOCH_SECS = 90 days;
    /// @dev After so many epochs nothing is left: 0.9^64 < 0.0012.
    uint256 private constant EPOCHS_MAX = 64;

    uint208 private constant BUCKET_UNITS = 40_000;
    uint48 private constant BUCKET_SECS = 604_800;
    uint64 private constant REQUEST_PRICE = 5 * CREDIT;

    // ── storage ──

    mapping(bytes16 inst => Account) private _accounts;
    mapping(bytes32 ref => Hold) private _holds;
    mapping(bytes16 owner => mapping(bytes16 requester => Tally)) private _pairs;
    mapping(bytes16 owner => mapping(uint8 kind => Tally)) private _flats;
    mapping(bytes16 inst => Tally) private _allotments;
    Totals private _totals;
    RateLimiter.RefillingBucket private _bucket;

    constructor(address authority, address directory) Module(authority, directory, "Incentives") {
        _bucket.updateSettings(BUCKET_SECS, BUCKET_UNITS);
    }

    // ── credits ──

    /// @inheritdoc IIncentives
    function accrue(bytes16 owner, bytes16 requester, uint8 kind, uint8 quality, uint8 novelty)
        external
        restricted
    {
        if (quality > QUALITY_MAX) revert OutOfBounds(quality, 0, QUALITY_MAX);
        if (novelty > NOVELTY_MAX) revert OutOfBounds(novelty, 0, NOVELTY_MAX);
        _settle(owner);

        uint64 amount = _isFlat(kind)
            ? _accrueFlat(_flats[owner][kind], kind)
            : _accruePair(_pairs[owner][requester], kind, quality, novelty);
        uint64 balance = _credit(owner, amount);

        emit CreditsAccrued(owner, requester, kind, amount, balance);
    }

    /// @inheritdoc IIncentives
    function allot(bytes16 inst, uint64 amount) external restricted {
        if (_institutions().standing(inst).kind == 0) revert Unknown(inst);
        Tally storage tally = _allotments[inst];
        _enterEpoch(tally);
        _requireBetween(amount, 1, ALLOTMENT_EPOCH_CAP - tally.earned);
        _settle(inst);
        ++tally.count;
        tally.earned += amount;
        uint64 balance = _credit(inst, amount);

        emit CreditsAllotted(inst, amount, balance);
    }

    /// @inheritdoc IIncentives
    function consume(bytes16 inst) external restricted {
        uint256 cost = _cost(inst);
        if (_bucket.tryConsume(inst, cost)) {
            emit QuotaConsumed(inst, cost, 0);
            return;
        }
        _settle(inst);
        Account storage account = _accounts[inst];
        if (account.balance < REQUEST_PRICE) revert QuotaExceeded(inst, _retryAt(inst, cost));
        account.balance -= REQUEST_PRICE;
        _totals.spent += REQUEST_PRICE;

        emit QuotaConsumed(inst, 0, REQUEST_PRICE);
    }

    /// @inheritdoc IIncentives
    function lock(bytes16 inst, uint64 amount, bytes32 ref) external restricted {
        if (amount == 0) revert OutOfBounds(0, 1, type(uint64).max);
        if (_holds[ref].amount != 0) revert Exists(ref);
        _settle(inst);
        Account storage account = _accounts[inst];
        if (account.balance < amount) revert NotEnough(account.balance, amount);
        account.balance -= amount;
        account.locked += amount;
        _holds[ref] = Hold(inst, amount);

        emit CreditsLocked(inst, amount, ref);
    }

    /// @inheritdoc IIncentives
    function unlock(bytes32 ref) external restricted {
        Hold memory hold = _takeHold(ref);
        _settle(hold.inst);
        Account storage account = _accounts[hold.inst];
        account.locked -= hold.amount;
        account.balance += hold.amount;

        emit CreditsUnlocked(ref);
    }

    /// @inheritdoc IIncentives
    function burn(bytes32 ref) external restricted {
        Hold memory hold = _takeHold(ref);
        _accounts[hold.inst].locked -= hold.amount;
        _totals.spent += hold.amount;

        emit CreditsBurned(ref);
    }

    /// @inheritdoc IIncentives
    function settle(bytes16 inst) external {
        _settle(inst);
    }

    // ── views ──

    /// @inheritdoc IIncentives
    function quota(bytes16 inst)
        external
        view
        returns (uint256 available, uint256 cost, uint64 retryAt)
    {
        available = _bucket.available(inst);
        cost = _cost(inst);
        retryAt = _retryAt(inst, cost);
    }

    /// @inheritdoc IIncentives
    function creditsOf(bytes16 inst) external view returns (Account memory) {
        return _settled(_accounts[inst]);
    }

    /// @inheritdoc IIncentives
    function totals() external view returns (Totals memory) {
        return _totals;
    }

    // ── ERC-20, the half that reads ──

    /// @inheritdoc IIncentives
    function name() external pure returns (string memory) {
        return "msnet credit";
    }

    /// @inheritdoc IIncentives
    function symbol() external pure returns (string memory) {
        return "MSC";
    }

    /// @inheritdoc IIncentives
    function decimals() external pure returns (uint8) {
        return 6;
    }

    /// @inheritdoc IIncentives
    function totalSupply() external view returns (uint256) {
        return _totals.accrued - _totals.spent - _totals.decayed;
    }

    /// @inheritdoc IIncentives
    function balanceOf(address account) external view returns (uint256) {
        return _settled(_accounts[_keys().subjectOf(account)]).balance;
    }

    /// @inheritdoc IIncentives
    function allowance(address, address) external pure returns (uint256) {
        return 0;
    }

    /// @inheritdoc IIncentives
    function transfer(address, uint256) external pure returns (bool) {
        revert NonTransferable();
    }

    /// @inheritdoc IIncentives
    function approve(address, uint256) external pure returns (bool) {
        revert NonTransferable();
    }

    /// @inheritdoc IIncentives
    function transferFrom(address, address, uint256) external pure returns (bool) {
        revert NonTransferable();
    }

    // ── accruals ──

    /// @dev Adds credits to a settled account.
    function _credit(bytes16 inst, uint64 amount) private returns (uint64 balance) {
        balance = _accounts[inst].balance + amount;
        _accounts[inst].balance = balance;
        _totals.accrued += amount;
    }

    /// @dev PANEL and ALGORITHM_REVIEW; refuses numbers without a meaning.
    function _isFlat(uint8 kind) private pure returns (bool) {
        if (kind < DELIVERY || kind > ALGORITHM_REVIEW) {
            revert OutOfBounds(kind, DELIVERY, ALGORITHM_REVIEW);
        }
        return kind == PANEL || kind == ALGORITHM_REVIEW;
    }

    /// @dev A flat amount for the first four of an epoch, then 0.
    function _accrueFlat(Tally storage tally, uint8 kind) private returns (uint64 amount) {
        _enterEpoch(tally);
        if (tally.count < FLAT_PER_EPOCH) amount = (kind == PANEL ? 15 : 5) * CREDIT;
        ++tally.count;
        tally.earned += amount;
    }

    /// @dev What a use is worth, within what the pair may still earn in this epoch.
    function _accruePair(Tally storage tally, uint8 kind, uint8 quality, uint8 novelty)
        private
        returns (uint64 amount)
    {
        _enterEpoch(tally);
        uint256 base = (kind == RESULT_SITE ? 20 : 10) * CREDIT;
        uint256 full = _worth(base, quality, novelty, tally.count);
        // At most 40 credits, far below 2^64.
        amount = uint64(Math.min(full, PAIR_EPOCH_CAP - tally.earned));
        ++tally.count;
        tally.earned += amount;
    }

    /// @dev `base·(5000 + 2000·quality)·(1000 + 900·novelty)·10 div (10^8·(10 + n))`.
    /// @param n Earlier accruals of the pair in this epoch.
    function _worth(uint256 base, uint256 quality, uint256 novelty, uint256 n)
        private
        pure
        returns (uint256)
    {
        return (base * (5000 + 2000 * quality) * (1000 + 900 * novelty) * 10) / (1e8 * (10 + n));
    }

    /// @dev Starts a tally anew when its epoch is over.
    function _enterEpoch(Tally storage tally) private {
        uint32 epoch = _epoch();
        if (tally.epoch != epoch) (tally.epoch, tally.count, tally.earned) = (epoch, 0, 0);
    }

    // ── decay ──

    /// @dev Applies the decay of the epochs gone by.
    function _settle(bytes16 inst) private {
        Account memory before = _accounts[inst];
        Account memory settled = _settled(before);
        if (settled.epoch == before.epoch) return;
        _accounts[inst] = settled;
        uint64 lost = before.balance - settled.balance;
        if (lost == 0) return;
        _totals.decayed += lost;

        emit CreditsDecayed(inst, lost, settled.balance);
    }

    /// @dev An account as decay until now leaves it: a tenth less per epoch, rounded down.
    function _settled(Account memory account) private view returns (Account memory) {
        uint32 epoch = _epoch();
        uint256 elapsed = epoch - account.epoch;
        uint256 balance = elapsed > EPOCHS_MAX ? 0 : account.balance;
        for (uint256 i = 0; i < elapsed && balance != 0; ++i) {
            balance = (balance * 9) / 10;
        }
        // The balance only fell.
        return Account(uint64(balance), account.locked, epoch);
    }

    /// @dev The cast holds for the next billion years.
    function _epoch() private view returns (uint32) {
        return uint32(block.timestamp / EPOCH_SECS);
    }

    // ── holds and quota ──

    /// @dev Removes what is held for `ref` and returns it.
    function _takeHold(bytes32 ref) private returns (Hold memory hold) {
        hold = _holds[ref];
        if (hold.amount == 0) revert Unknown(ref);
        delete _holds[ref];
    }

    /// @dev Units of a request: `⌈10^7 / (2500 + lcbBps·7 div 4)⌉`, 4 000 under QuotaCut.
    function _cost(bytes16 inst) private view returns (uint256) {
        uint256 factor = 2500;
        if (!_sanctions().quotaCut(inst)) {
            // Quota follows the lower bound alone.
            // slither-disable-next-line unused-return
            (,,, uint16 lcbBps,) = _credibility().score(inst, _now());
            factor += (uint256(lcbBps) * 7) / 4;
        }
        return Math.ceilDiv(1e7, factor);
    }

    /// @dev First second at which the bucket holds `cost` units, if nobody draws on it until then:
    /// the first at which whole units refilled since its last use make up for what is missing.
    function _retryAt(bytes16 inst, uint256 cost) private view returns (uint64) {
        RateLimiter.RefillingBucketItem memory item = _bucket._items[inst];
        uint256 missing = Math.saturatingSub(item._lastUsed + cost, BUCKET_UNITS);
        uint256 ready = item._lastTimepoint + Math.ceilDiv(missing * BUCKET_SECS, BUCKET_UNITS);
        return Math.max(block.timestamp, ready).toUint64();
    }
}
// slither-disable-end incorrect-equality
