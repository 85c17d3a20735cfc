// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInstitutionRegistry} from "../../../contracts/interfaces/IInstitutionRegistry.sol";
import {Codes} from "../../../contracts/libraries/Codes.sol";
import {Roles} from "../../../contracts/libraries/Roles.sol";
import {Score} from "../../../contracts/libraries/Score.sol";
import {AccessBase} from "../AccessBase.t.sol";

/// @notice Invariants C1 and C2: whatever is recorded about an institution, by whom and when.
/// @dev The functions between the lines are what the fuzzer calls, in any order. Each notes what it
/// sees afterwards; a broken rule is kept in `_broken`, since a check that fails in a handler would
/// count as a refused call only.
contract ScoresInvariantTest is AccessBase {
    uint256 private constant GIVERS = 6;
    /// @dev Rounding of the decay of at most a few hundred weights, each exact to 2^-58.
    uint256 private constant SLACK = 1 << 16;

    /// @dev Live good weight of a giver, for the model of C2.
    struct Share {
        uint256 sum;
        uint256 time;
    }

    Share[GIVERS] private _shares;
    string private _broken;

    function setUp() public override {
        super.setUp();
        _take(Roles.SCORERS_ROLE);
        bytes4[] memory selectors = new bytes4[](3);
        selectors[0] = this.good.selector;
        selectors[1] = this.bad.selector;
        selectors[2] = this.wait.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    /// @dev Givers 0 and 1 are of one group, 2 and 3 of another, the last two of none; all are
    /// known by mock, as the registry needs no more of them here.
    function _giver(uint256 i) private returns (bytes16 id) {
        id = bytes16(keccak256(abi.encode("giver", i)));
        uint32 group = i < 4 ? uint32(50 + i / 2) : 0;
        vm.mockCall(
            address(institutions),
            abi.encodeCall(institutions.standing, (id)),
            abi.encode(Codes.PROVIDER, TIER, group, IInstitutionRegistry.Status.Active)
        );
    }

    // ──────────────────────────────────────────────────────────────

    function good(uint256 pick, bool timely) external {
        pick %= GIVERS;
        bytes16 giver = _giver(pick);
        (uint256 mean, uint256 lcb) = _score();
        (uint256 before,) = _decayedSums();
        credibility.record(NORTH, giver, timely ? Score.TIMELY : Score.ACCEPTED, 0);
        (uint256 r,) = _decayedSums();
        _shares[pick] = Share(_liveOf(pick) + r - before, _now());
        (uint256 meanAfter, uint256 lcbAfter) = _score();
        if (meanAfter < mean) _broken = "a good event lowered the mean";
        if (lcbAfter < lcb) _broken = "a good event lowered the cautious number";
    }

    function bad(uint256 pick, uint8 kind) external {
        bytes16 giver = _giver(pick % GIVERS);
        (uint256 mean, uint256 lcb) = _score();
        credibility.record(NORTH, giver, Score.LATE + kind % 7, 0);
        (uint256 meanAfter, uint256 lcbAfter) = _score();
        if (meanAfter > mean) _broken = "a bad event raised the mean";
        if (lcbAfter > lcb) _broken = "a bad event raised the cautious number";
    }

    function wait(uint32 secs) external {
        (uint256 mean,) = _score();
        vm.warp(_now() + secs % (100 days));
        (uint256 later,) = _score();
        uint256 prior = Score.ONE / 2;
        bool away = mean >= prior ? later > mean + 1 || later + 1 < prior : later + 1 < mean;
        if (away || (mean < prior && later > prior + 1)) _broken = "time moved the mean away";
    }

    // ──────────────────────────────────────────────────────────────

    function _score() private view returns (uint256 mean, uint256 lcb) {
        (mean, lcb,,,) = credibility.score(NORTH, _now());
    }

    function _decayedSums() private view returns (uint256 r, uint256 s) {
        uint256 factor = Score.decay(_now() - credibility.sums(NORTH).last);
        (r, s) = _sums(NORTH);
        return (Score.scale(r, factor), Score.scale(s, factor));
    }

    /// @dev Live good weight of giver i, from the model.
    function _liveOf(uint256 i) private view returns (uint256) {
        return Score.scale(_shares[i].sum, Score.decay(_now() - _shares[i].time));
    }

    function invariant_ScoresStayInBoundsAndPraiseIsCapped() public view {
        assertEq(_broken, "");
        (uint256 mean, uint256 lcb) = _score();
        assertLe(lcb, mean, "the cautious number is below the mean");
        assertLe(mean, Score.ONE, "the mean is at most 1");
        for (uint256 i = 0; i < GIVERS; ++i) {
            assertLe(_liveOf(i), Score.PAIR_CAP + SLACK, "one counterparty gives at most 8");
        }
        assertLe(_liveOf(0) + _liveOf(1), Score.PAIR_CAP + SLACK, "a group gives at most 8");
        assertLe(_liveOf(2) + _liveOf(3), Score.PAIR_CAP + SLACK, "a group gives at most 8");
    }
}
