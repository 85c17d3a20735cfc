// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IConsentRegistry} from "../../contracts/interfaces/IConsentRegistry.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {MerkleBatch} from "../../contracts/libraries/MerkleBatch.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice A root a day for all consents of the north, and who is named when one does not come.
contract ConsentRegistryTest is AccessBase {
    bytes32 private constant ROOT = keccak256("root");

    IConsentRegistry private _consents;
    uint32 private _today;

    function setUp() public override {
        super.setUp();
        _consents = IConsentRegistry(_at(Codes.CONSENT_REGISTRY));
        _today = uint32(_now() / DAY);
    }

    function _commit(uint32 epoch) private {
        vm.prank(north.addr);
        _consents.commitEpoch(NORTH, epoch, ROOT, 4);
    }

    function _seqMismatch(uint64 have, uint64 want) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.SeqMismatch.selector, have, want);
    }

    /// @dev Second after the last of an epoch.
    function _endOf(uint32 epoch) private pure returns (uint64) {
        return (uint64(epoch) + 1) * DAY;
    }

    function _missedId(uint32 epoch) private pure returns (bytes32) {
        return keccak256(abi.encode(Codes.EPOCH_MISSED, NORTH, epoch));
    }

    // ── commitEpoch ──

    function test_CommitIsStoredAndAnnounced() public {
        vm.expectEmit(address(_consents));
        emit IConsentRegistry.EpochCommitted(NORTH, _today, ROOT, 4, _now());
        _commit(_today);
        IConsentRegistry.Epoch memory e = _consents.epochOf(NORTH, _today);
        assertEq(e.root, ROOT);
        assertEq(e.countLog2, 4);
        assertEq(e.committedAt, _now());
        IConsentRegistry.Span memory span = _consents.spanOf(NORTH);
        assertEq(span.first, _today);
        assertEq(span.last, _today);
        vm.warp(_now() + 3 * DAY);
        _commit(_today + 2);
        span = _consents.spanOf(NORTH);
        assertEq(span.first, _today, "the first stays");
        assertEq(span.last, _today + 2);
    }

    function test_CommitNeedsTheInstitutionsRelayer() public {
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        _consents.commitEpoch(NORTH, _today, ROOT, 4);
        (, Vm.Wallet memory steward) = _staff(north, NORTH, "steward", Roles.STEWARD);
        _expect(_notParty(NORTH, steward.addr));
        vm.prank(steward.addr);
        _consents.commitEpoch(NORTH, _today, ROOT, 4);
        (, Vm.Wallet memory courier) = _staff(north, NORTH, "courier", Roles.RELAYER);
        vm.prank(courier.addr);
        _consents.commitEpoch(NORTH, _today, ROOT, 4);
    }

    function test_CommitGoesForwardNeverIntoTheFuture() public {
        _expect(_seqMismatch(_today + 1, _today));
        _commit(_today + 1);
        _commit(_today);
        _expect(_seqMismatch(_today, _today + 1));
        _commit(_today);
        _expect(_seqMismatch(_today - 1, _today + 1));
        _commit(_today - 1);
        _expect(_seqMismatch(0, _today + 1));
        _commit(0);
    }

    function test_CommitNeedsARootAndADepth() public {
        vm.startPrank(north.addr);
        _expect(_outOfBounds(0, 1, type(uint256).max));
        _consents.commitEpoch(NORTH, _today, 0, 4);
        _expect(_outOfBounds(3, 4, 24));
        _consents.commitEpoch(NORTH, _today, ROOT, 3);
        _expect(_outOfBounds(25, 4, 24));
        _consents.commitEpoch(NORTH, _today, ROOT, 25);
        _consents.commitEpoch(NORTH, _today, ROOT, 24);
    }

    function test_CommitIsADutyAlsoWhileStoppedAndSuspended() public {
        _stop("ConsentRegistry");
        _suspendInstitution(NORTH, _now() + DAY);
        _commit(_today);
        assertEq(_consents.spanOf(NORTH).last, _today);
    }

    function test_CommitIsSignedAndRelayed() public {
        IConsentRegistry.Auth memory auth = _consent(
            north,
            address(_consents),
            "ConsentRegistry",
            "CommitEpoch(bytes16 inst,uint32 epoch,bytes32 root,uint8 countLog2,uint256 nonce,uint64 deadline)",
            abi.encode(NORTH, _today, ROOT, uint8(5))
        );
        _expect(_badSignature(north.addr));
        _consents.commitEpochBySig(NORTH, _today, ROOT, 4, auth);
        vm.prank(relayer);
        _consents.commitEpochBySig(NORTH, _today, ROOT, 5, auth);
        assertEq(_consents.epochOf(NORTH, _today).countLog2, 5);
    }

    // ── challengeEpoch ──

    function test_ChallengeNamesWhoLeftOutAnEpoch() public {
        _commit(_today);
        uint64 notBefore = _endOf(_today + 1) + 6 * HOUR;
        vm.warp(notBefore - 1);
        _expect(_tooEarly(notBefore));
        _consents.challengeEpoch(NORTH, _today + 1);
        vm.warp(notBefore);
        vm.expectEmit(address(_consents));
        emit IConsentRegistry.EpochMissed(NORTH, _today + 1);
        vm.prank(stranger);
        _consents.challengeEpoch(NORTH, _today + 1);
        assertTrue(_consents.isMissed(NORTH, _today + 1));
        assertFalse(_consents.isMissed(NORTH, _today + 2));
        _scoreIs(NORTH, 0, Score.ONE / 2);
        _expect(_exists(_missedId(_today + 1)));
        _consents.challengeEpoch(NORTH, _today + 1);
    }

    function test_ChallengeEndsThirtyDaysLater() public {
        _commit(_today);
        uint64 deadline = _endOf(_today + 1) + 30 * DAY;
        vm.warp(deadline + 1);
        _expect(_tooLate(deadline));
        _consents.challengeEpoch(NORTH, _today + 1);
        vm.warp(deadline);
        _consents.challengeEpoch(NORTH, _today + 1);
    }

    function test_ChallengeNeedsAnEarlierCommitment() public {
        vm.warp(_now() + 3 * DAY);
        _expect(_seqMismatch(_today + 1, 1));
        _consents.challengeEpoch(NORTH, _today + 1);
        _commit(_today + 2);
        _expect(_seqMismatch(_today + 2, _today + 3));
        _consents.challengeEpoch(NORTH, _today + 2);
        _expect(_seqMismatch(_today, _today + 3));
        _consents.challengeEpoch(NORTH, _today);
    }

    function test_ChallengeOfACommittedEpochRefused() public {
        _commit(_today);
        vm.warp(_now() + 3 * DAY);
        _commit(_today + 1);
        _expect(_exists(_missedId(_today + 1)));
        _consents.challengeEpoch(NORTH, _today + 1);
    }

    function test_ChallengeSparesWhoWasNotEffectiveAtTheEnd() public {
        _commit(_today);
        vm.warp(_endOf(_today + 1) - 1);
        _suspendInstitution(NORTH, _now() + 10);
        vm.warp(_now() + DAY);
        _expect(_notActive(NORTH, 5));
        _consents.challengeEpoch(NORTH, _today + 1);
        _scoreIs(NORTH, 0, 0);
    }

    // ── verifyConsent ──

    /// @dev The leaf that protocol.md section 8 publishes.
    function test_ThePublishedConsentLeaf() public pure {
        bytes32 typeHash = keccak256(
            "ConsentLeaf(uint16 version,bytes16 subject,uint32 epoch,uint32 allowed,uint32 denied,uint32 flags,bytes32 consentHash,bytes32 salt)"
        );
        bytes memory preimage = abi.encode(
            typeHash,
            uint16(1),
            bytes16(0x000102030405060708090a0b0c0d0e0f),
            uint32(20_454),
            uint32(0x12),
            uint32(0x08),
            uint32(0),
            bytes32(0x8677788427e82c98a3127648d3d64a6112851dff6b4af0e8ff6ea84ec346c11f),
            bytes32(0x606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f)
        );
        assertEq(
            MerkleBatch.leafOf(preimage),
            0x226fabc0606fa052151dffacbbf271e2d5734207b9821610e010e1812d603e18
        );
    }

    function test_VerifyBindsLeafIndexEpochAndInstitution() public {
        bytes32 leaf = keccak256("leaf");
        bytes32[] memory path = new bytes32[](4);
        bytes32 root = leaf;
        for (uint256 i = 0; i < 4; ++i) {
            path[i] = keccak256(abi.encode("sibling", i));
            // Index 5: bits 1, 0, 1, 0 from the leaf up.
            root = i % 2 == 0
                ? keccak256(abi.encodePacked(path[i], root))
                : keccak256(abi.encodePacked(root, path[i]));
        }
        vm.prank(north.addr);
        _consents.commitEpoch(NORTH, _today, root, 4);
        assertTrue(_consents.verifyConsent(NORTH, _today, leaf, 5, path));
        assertFalse(_consents.verifyConsent(NORTH, _today, leaf, 4, path));
        assertFalse(_consents.verifyConsent(NORTH, _today, leaf, 21, path));
        assertFalse(_consents.verifyConsent(NORTH, _today, root, 0, new bytes32[](0)));
        assertFalse(_consents.verifyConsent(NORTH, _today, path[0], 5, path));
        assertFalse(_consents.verifyConsent(NORTH, _today + 1, leaf, 5, path));
        assertFalse(_consents.verifyConsent(SOUTH, _today, leaf, 5, path));
    }
}
