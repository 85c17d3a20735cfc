// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICredibility} from "../interfaces/ICredibility.sol";
import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {Module} from "../libraries/Module.sol";
import {Parties} from "../libraries/Parties.sol";
import {Score} from "../libraries/Score.sol";

/// @title Credibility: one score, two numbers.
contract Credibility is Module, ICredibility {
    // ── types ──

    /// @dev `ICredibility.Sums`, packed into one slot: `Score.MAX_SUM` has 80 bits.
    struct Stored {
        uint80 r;
        uint80 s;
        uint40 last;
        uint32 count;
    }

    /// @dev Live good weight from one counterparty or group, Q64 as of `last`.
    struct Share {
        uint128 r;
        uint40 last;
    }

    // ── storage ──

    mapping(bytes16 subject => Stored) private _sums;
    /// @dev By the counterparty, or by its sponsor if it is a hub.
    mapping(bytes16 subject => mapping(bytes16 counterparty => Share)) private _pairs;
    mapping(bytes16 subject => mapping(uint32 group => Share)) private _pools;

    constructor(address authority, address directory) Module(authority, directory, "Credibility") {}

    // ── events taken in ──

    /// @inheritdoc ICredibility
    function record(bytes16 subject, bytes16 counterparty, uint8 kind, bytes32 ref)
        external
        restricted
    {
        uint256 weight = Score.weightOf(kind);
        if (weight == 0) revert OutOfBounds(kind, Score.ACCEPTED, Score.BREAK_GLASS);
        bool positive = Score.isPositive(kind);
        if (positive) weight = _spend(subject, counterparty, weight);

        Stored memory sums_ = _sums[subject];
        (uint256 r, uint256 s) = _decayed(sums_, _now());
        if (positive) r = Score.grown(r, weight);
        else s = Score.grown(s, weight);
        // Casts: `grown` keeps both below 2^80.
        sums_.r = uint80(r);
        sums_.s = uint80(s);
        sums_.last = _packed(_now());
        if (weight != 0) ++sums_.count;
        _sums[subject] = sums_;

        emit CredibilityRecorded(subject, counterparty, kind, weight, r, s, ref);
    }

    // ── views ──

    /// @inheritdoc ICredibility
    function score(bytes16 subject, uint64 t)
        external
        view
        returns (uint256 mean, uint256 lcb, uint16 meanBps, uint16 lcbBps, uint32 count)
    {
        Stored memory sums_ = _sums[subject];
        (uint256 r, uint256 s) = _decayed(sums_, t);
        uint8 tier = _institutions().standing(subject).tier;
        (mean, lcb) = Score.estimate(r, s, Score.priorBps(tier));
        (meanBps, lcbBps, count) = (Score.toBps(mean), Score.toBps(lcb), sums_.count);
    }

    /// @inheritdoc ICredibility
    function sums(bytes16 subject) external view returns (Sums memory) {
        Stored memory sums_ = _sums[subject];
        return Sums(sums_.r, sums_.s, sums_.last, sums_.count);
    }

    // ── arithmetic over time ──

    /// @dev Both sums as they are at `t`.
    function _decayed(Stored memory sums_, uint64 t) private pure returns (uint256 r, uint256 s) {
        if (t < sums_.last) revert TooEarly(sums_.last);
        uint256 factor = Score.decay(t - sums_.last);
        return (Score.scale(sums_.r, factor), Score.scale(sums_.s, factor));
    }

    /// @dev How much of a good weight counts, after the shares of the counterparty and its group.
    /// Nobody can praise itself or its own group, nor through a hub that it sponsors.
    function _spend(bytes16 subject, bytes16 counterparty, uint256 weight)
        private
        returns (uint256)
    {
        (bytes16 giver, uint32 group) = _principal(counterparty);
        (bytes16 taker, uint32 takerGroup) = _principal(subject);
        bool related = giver == taker || (group != 0 && group == takerGroup);
        if (counterparty == 0 || related) return 0;

        Share storage pair = _pairs[subject][giver];
        Share storage pool = _pools[subject][group];
        uint256 pairSum = _live(pair);
        uint256 poolSum = group == 0 ? 0 : _live(pool);
        weight = Score.capped(weight, pairSum, poolSum);
        _keep(pair, pairSum + weight);
        if (group != 0) _keep(pool, poolSum + weight);
        return weight;
    }

    /// @dev The institution behind a party, and its group.
    function _principal(bytes16 party) private view returns (bytes16 principal, uint32 group) {
        IInstitutionRegistry institutions = _institutions();
        IInstitutionRegistry.Standing memory inst = institutions.standing(party);
        if (inst.kind != 0) return (party, inst.group);
        principal = Parties.principalOf(DIRECTORY, party);
        return (principal, institutions.standing(principal).group);
    }

    /// @dev A share as it is now.
    function _live(Share storage share) private view returns (uint256) {
        return Score.scale(share.r, Score.decay(_now() - share.last));
    }

    /// @dev Stores a share as of now. At most `Score.PAIR_CAP`, so that the cast keeps the value.
    function _keep(Share storage share, uint256 sum) private {
        share.r = uint128(sum);
        share.last = _packed(_now());
    }
}
