// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICredibility} from "../../contracts/interfaces/ICredibility.sol";
import {IDataHubRegistry} from "../../contracts/interfaces/IDataHubRegistry.sol";
import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice The arithmetic, and the bits that Rust must give too
/// (test/vectors/contracts/score.json).
contract ScoreTest is AccessBase {
    string private _json;

    struct Row {
        uint256 r;
        uint256 s;
        uint256 bps;
    }

    function setUp() public override {
        super.setUp();
        _json = vm.readFile("test/vectors/contracts/score.json");
        _take(Roles.SCORERS_ROLE);
    }

    function test_DecayVectors() public view {
        uint256 i = 0;
        for (; _has(".decay", i); ++i) {
            uint256 elapsed = _number(".decay", i, ".elapsed_secs");
            assertEq(Score.decay(elapsed), _number(".decay", i, ".factor"), vm.toString(elapsed));
        }
        assertEq(i, 18, "rows read");
    }

    function test_DecayAsTheDesignPublishesIt() public pure {
        assertEq(Score.decay(1), 0xffffff40932760b4);
        assertEq(Score.decay(1 days), 0xff041e3bceadf8c0);
        assertEq(Score.decay(30 days), 0xe411f03a76094a2e);
        assertEq(Score.decay(90 days), 0xb504f333f9de6484);
        assertEq(Score.decay(180 days), 0x8000000000000000);
        assertEq(Score.decay(1800 days), 0x40000000000000);
    }

    function testFuzz_DecayFallsAndStaysWithinOne(uint40 a, uint40 b) public pure {
        (uint256 early, uint256 late) = a < b ? (uint256(a), b) : (uint256(b), a);
        uint256 less = Score.decay(late);
        // Each factor is exact to 2^-58, so that two neighbours may swap within twice that.
        assertLe(less, Score.decay(early) + (1 << 7), "falls");
        assertLe(Score.decay(early), Score.ONE, "at most 1");
        assertEq(Score.decay(uint256(a) + Score.HALF_LIFE_SECS), Score.decay(a) / 2, "halves");
    }

    function test_EstimateVectors() public view {
        uint256 i = 0;
        for (; _has(".score", i); ++i) {
            (uint256 mean, uint256 lcb) = Score.estimate(
                _number(".score", i, ".r"),
                _number(".score", i, ".s"),
                _number(".score", i, ".prior_bps")
            );
            assertEq(mean, _number(".score", i, ".mean"), "mean");
            assertEq(lcb, _number(".score", i, ".lcb"), "lcb");
            assertEq(Score.toBps(mean), _number(".score", i, ".mean_bps"), "mean in bps");
            assertEq(Score.toBps(lcb), _number(".score", i, ".lcb_bps"), "lcb in bps");
        }
        assertEq(i, 13, "rows read");
    }

    function testFuzz_EstimateIsOrdered(uint80 r, uint80 s, uint16 more) public pure {
        (uint256 mean, uint256 lcb) = Score.estimate(r, s, 5000);
        assertLe(lcb, mean, "lcb below the mean");
        assertLe(mean, Score.ONE, "mean at most 1");
        uint256 step = (uint256(more) + 1) << 44;
        (uint256 better,) = Score.estimate(Score.grown(r, step), s, 5000);
        assertGe(better, mean, "good weight never lowers the mean");
        (uint256 worse,) = Score.estimate(r, Score.grown(s, step), 5000);
        assertLe(worse, mean, "bad weight never raises the mean");
    }

    function testFuzz_CappedStaysWithinTheShare(uint80 weight, uint72 pair, uint72 pool)
        public
        pure
    {
        uint256 w = Score.capped(weight, pair, pool);
        assertLe(w, weight, "not more than wanted");
        assertEq(w % (1 << 44), 0, "a multiple of 2^-20");
        if (pair <= Score.PAIR_CAP) assertLe(pair + w, Score.PAIR_CAP, "pair's share");
        else assertEq(w, 0, "no share left");
        if (pool > Score.PAIR_CAP) assertEq(w, 0, "no share of the group left");
    }

    function test_WeightsOfKinds() public pure {
        assertEq(Score.weightOf(0), 0);
        assertEq(Score.weightOf(1), Score.ONE);
        assertEq(Score.weightOf(2), Score.ONE / 4);
        assertEq(Score.weightOf(3), Score.ONE / 2);
        assertEq(Score.weightOf(4), 3 * Score.ONE);
        assertEq(Score.weightOf(5), 3 * Score.ONE);
        assertEq(Score.weightOf(6), 10 * Score.ONE);
        assertEq(Score.weightOf(7), 30 * Score.ONE);
        assertEq(Score.weightOf(8), 2 * Score.ONE);
        assertEq(Score.weightOf(9), 10 * Score.ONE);
        assertEq(Score.weightOf(10), 0);
    }

    /// @dev Plays every recorded history through the contract and compares each step's bits.
    function test_SequenceVectors() public {
        uint256 i = 0;
        for (; _has(".sequences", i); ++i) {
            _play(i);
        }
        assertEq(i, 6, "histories read");
    }

    function _play(uint256 i) private {
        string memory base = string.concat(".sequences[", vm.toString(i), "].steps");
        bytes16 subject = bytes16(keccak256(abi.encode("subject", i)));
        uint8 tier = _tier(_number(".sequences", i, ".prior_bps"));
        _mockInstitution(subject, tier, type(uint32).max);
        for (uint256 k = 0; _has(base, k); ++k) {
            vm.warp(START + _number(base, k, ".at_secs"));
            bytes16 counterparty =
                bytes16(keccak256(abi.encode("party", i, _number(base, k, ".counterparty"))));
            _mockInstitution(counterparty, 2, uint32(_number(base, k, ".group")));
            vm.expectEmit(address(credibility));
            emit ICredibility.CredibilityRecorded(
                subject,
                counterparty,
                uint8(_number(base, k, ".kind")),
                _number(base, k, ".weight"),
                _number(base, k, ".r"),
                _number(base, k, ".s"),
                bytes32(k)
            );
            credibility.record(subject, counterparty, uint8(_number(base, k, ".kind")), bytes32(k));
        }
        _checkScore(subject, i);
    }

    function _checkScore(bytes16 subject, uint256 i) private view {
        uint64 t = START + uint64(_number(".sequences", i, ".score_at_secs"));
        (uint256 mean, uint256 lcb, uint16 meanBps, uint16 lcbBps,) = credibility.score(subject, t);
        assertEq(mean, _number(".sequences", i, ".mean"), "mean");
        assertEq(lcb, _number(".sequences", i, ".lcb"), "lcb");
        assertEq(meanBps, _number(".sequences", i, ".mean_bps"), "mean in bps");
        assertEq(lcbBps, _number(".sequences", i, ".lcb_bps"), "lcb in bps");
    }

    function _mockInstitution(bytes16 id, uint8 tier, uint32 group) private {
        vm.mockCall(
            address(institutions),
            abi.encodeCall(institutions.standing, (id)),
            abi.encode(Codes.PROVIDER, tier, group, IInstitutionRegistry.Status.Active)
        );
    }

    function _tier(uint256 bps) private pure returns (uint8) {
        return bps == 5000 ? 2 : bps == 6000 ? 3 : 1;
    }

    function _has(string memory list, uint256 i) private view returns (bool) {
        return vm.keyExistsJson(_json, string.concat(list, "[", vm.toString(i), "]"));
    }

    function _number(string memory list, uint256 i, string memory field)
        private
        view
        returns (uint256)
    {
        return vm.parseJsonUint(_json, string.concat(list, "[", vm.toString(i), "]", field));
    }
}

/// @notice Who may report, what is kept, who cannot praise whom.
contract CredibilityTest is AccessBase {
    bytes32 private constant REF = keccak256("ref");

    function setUp() public override {
        super.setUp();
        _take(Roles.SCORERS_ROLE);
    }

    // ── record and score ──

    function test_RecordIsRestricted() public {
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        credibility.record(NORTH, SOUTH, 1, REF);
    }

    function test_RecordRefusesUnknownKinds() public {
        _expect(_outOfBounds(0, 1, 9));
        credibility.record(NORTH, SOUTH, 0, REF);
        _expect(_outOfBounds(10, 1, 9));
        credibility.record(NORTH, SOUTH, 10, REF);
    }

    function test_GoodEventRaisesGoodWeight() public {
        vm.expectEmit(address(credibility));
        emit ICredibility.CredibilityRecorded(NORTH, SOUTH, 1, Score.ONE, Score.ONE, 0, REF);
        credibility.record(NORTH, SOUTH, 1, REF);
        ICredibility.Sums memory sums = credibility.sums(NORTH);
        assertEq(sums.r, Score.ONE);
        assertEq(sums.s, 0);
        assertEq(sums.last, START);
        assertEq(sums.count, 1);
    }

    function test_BadEventNeedsNoCounterparty() public {
        credibility.record(NORTH, 0, 4, REF);
        _scoreIs(NORTH, 0, 3 * Score.ONE);
    }

    function test_NobodyPraisesItselfOrItsGroup() public {
        credibility.record(NORTH, NORTH, 1, REF);
        _scoreIs(NORTH, 0, 0);
        credibility.record(NORTH, 0, 1, REF);
        _scoreIs(NORTH, 0, 0);
        vm.prank(admin);
        institutions.setClass(SOUTH, TIER, 1);
        credibility.record(NORTH, SOUTH, 1, REF);
        _scoreIs(NORTH, 0, 0);
        assertEq(credibility.sums(NORTH).count, 0, "events without weight are not counted");
    }

    function test_InstitutionsWithoutGroupsMayPraiseEachOther() public {
        vm.startPrank(admin);
        institutions.setClass(NORTH, TIER, 0);
        institutions.setClass(SOUTH, TIER, 0);
        vm.stopPrank();
        credibility.record(NORTH, SOUTH, 1, REF);
        _scoreIs(NORTH, Score.ONE, 0);
    }

    function test_PriorFollowsTheTier() public {
        uint16[3] memory means = [uint16(3000), 5000, 6000];
        for (uint8 tier = 1; tier <= 3; ++tier) {
            vm.prank(admin);
            institutions.setClass(NORTH, tier, 1);
            (,, uint16 meanBps,,) = credibility.score(NORTH, _now());
            assertEq(meanBps, means[tier - 1]);
        }
        (,, uint16 unknown,,) = credibility.score(bytes16("nobody"), _now());
        assertEq(unknown, 3000, "an unknown subject counts as unaccredited");
    }

    function test_ScoreReturnsToThePrior() public {
        credibility.record(NORTH, SOUTH, 7, REF);
        (,, uint16 atOnce,,) = credibility.score(NORTH, _now());
        (,, uint16 later,,) = credibility.score(NORTH, _now() + 3600 days);
        assertEq(atOnce, 313);
        assertEq(later, 5000, "after twenty half-lives");
    }

    function test_NoScoreBeforeTheLastEvent() public {
        credibility.record(NORTH, SOUTH, 1, REF);
        _expect(_tooEarly(START));
        credibility.score(NORTH, START - 1);
    }

    function test_SumsSaturate() public {
        for (uint256 i = 0; i < 2200; ++i) {
            credibility.record(NORTH, SOUTH, 7, REF);
        }
        _scoreIs(NORTH, 0, Score.MAX_SUM);
    }

    function testFuzz_OneCounterpartyHoldsAtMostEight(uint32[24] memory waits) public {
        for (uint256 i = 0; i < waits.length; ++i) {
            vm.warp(_now() + waits[i] % 30 days);
            credibility.record(NORTH, SOUTH, 1, REF);
            (uint256 r,) = _sums(NORTH);
            // R and the pair's share decay by separate roundings, at most 1 unit a step apart.
            assertLe(r, Score.PAIR_CAP + i, "live weight of one counterparty");
        }
    }

    // ── hubs ──

    function _mockHub(bytes16 hub, bytes16 sponsor) private {
        IDataHubRegistry hubs = IDataHubRegistry(_at(Codes.DATA_HUB_REGISTRY));
        vm.mockCall(
            address(hubs),
            abi.encodeCall(hubs.hub, (hub)),
            abi.encode(IDataHubRegistry.Hub(sponsor, IDataHubRegistry.HubStatus.Open, _now(), 0, 0))
        );
    }

    function test_HubsCountAsTheirSponsor() public {
        for (uint256 i = 0; i < 12; ++i) {
            bytes16 hub = bytes16(keccak256(abi.encode("hub", i)));
            _mockHub(hub, SOUTH);
            credibility.record(NORTH, hub, Score.ACCEPTED, 0);
        }
        _scoreIs(NORTH, Score.PAIR_CAP, 0);
        credibility.record(NORTH, SOUTH, Score.ACCEPTED, 0);
        _scoreIs(NORTH, Score.PAIR_CAP, 0);
    }

    function test_NobodyPraisesItselfThroughItsHub() public {
        bytes16 hub = bytes16(keccak256("hub"));
        _mockHub(hub, NORTH);
        credibility.record(NORTH, hub, Score.ACCEPTED, 0);
        credibility.record(hub, NORTH, Score.ACCEPTED, 0);
        _scoreIs(NORTH, 0, 0);
        _scoreIs(hub, 0, 0);
    }

    function test_WithoutHubsEverybodyIsItself() public {
        vm.mockCall(
            address(directory),
            abi.encodeCall(directory.addressOf, (Codes.DATA_HUB_REGISTRY)),
            abi.encode(address(0))
        );
        credibility.record(NORTH, bytes16(keccak256("anybody")), Score.ACCEPTED, 0);
        _scoreIs(NORTH, Score.ONE, 0);
    }
}
