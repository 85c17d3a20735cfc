// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IDeliveryLedger} from "../../contracts/interfaces/IDeliveryLedger.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice A root an hour for the audit log of the north, and who is named when one does not come.
contract DeliveryLogTest is AccessBase {
    bytes32 private constant ROOT = keccak256("root");

    uint32 private _thisHour;

    function setUp() public override {
        super.setUp();
        _thisHour = uint32(_now() / HOUR);
    }

    function _commit(uint32 hour) private {
        vm.prank(north.addr);
        ledger.commitLog(NORTH, hour, ROOT, 6);
    }

    function _seqMismatch(uint64 have, uint64 want) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.SeqMismatch.selector, have, want);
    }

    /// @dev Second after the last of an hour.
    function _endOf(uint32 hour) private pure returns (uint64) {
        return (uint64(hour) + 1) * HOUR;
    }

    function _missedId(uint32 hour) private pure returns (bytes32) {
        return keccak256(abi.encode(Codes.LOG_MISSED, NORTH, hour));
    }

    // ── commitLog ──

    function test_LogIsStoredAndAnnounced() public {
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.LogCommitted(NORTH, _thisHour, ROOT, 6, _now());
        _commit(_thisHour);
        IDeliveryLedger.LogHead memory head = ledger.logHead(NORTH, _thisHour);
        assertEq(head.root, ROOT);
        assertEq(head.countLog2, 6);
        assertEq(head.committedAt, _now());
        assertEq(ledger.logRoot(NORTH, _thisHour), ROOT);
        assertEq(ledger.logRoot(NORTH, _thisHour + 1), 0);
        vm.warp(_now() + 5 * HOUR);
        _commit(_thisHour + 3);
        IDeliveryLedger.LogSpan memory span = ledger.logSpan(NORTH);
        assertEq(span.first, _thisHour);
        assertEq(span.last, _thisHour + 3);
    }

    function test_LogNeedsTheInstitutionsRelayer() public {
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        ledger.commitLog(NORTH, _thisHour, ROOT, 6);
        (, Vm.Wallet memory officer) = _staff(north, NORTH, "officer", Roles.OFFICER);
        _expect(_notParty(NORTH, officer.addr));
        vm.prank(officer.addr);
        ledger.commitLog(NORTH, _thisHour, ROOT, 6);
        (, Vm.Wallet memory courier) = _staff(north, NORTH, "courier", Roles.RELAYER);
        vm.prank(courier.addr);
        ledger.commitLog(NORTH, _thisHour, ROOT, 6);
    }

    function test_LogGoesForwardNeverIntoTheFuture() public {
        _expect(_seqMismatch(_thisHour + 1, _thisHour));
        _commit(_thisHour + 1);
        _commit(_thisHour);
        _expect(_seqMismatch(_thisHour, _thisHour + 1));
        _commit(_thisHour);
        _expect(_seqMismatch(0, _thisHour + 1));
        _commit(0);
    }

    function test_LogNeedsARootAndADepth() public {
        vm.startPrank(north.addr);
        _expect(_outOfBounds(0, 1, type(uint256).max));
        ledger.commitLog(NORTH, _thisHour, 0, 6);
        _expect(_outOfBounds(5, 6, 24));
        ledger.commitLog(NORTH, _thisHour, ROOT, 5);
        _expect(_outOfBounds(25, 6, 24));
        ledger.commitLog(NORTH, _thisHour, ROOT, 25);
        ledger.commitLog(NORTH, _thisHour, ROOT, 24);
    }

    function test_LogIsADutyAlsoWhileStoppedAndSuspended() public {
        _stop("DeliveryLedger");
        _suspendInstitution(NORTH, _now() + DAY);
        _commit(_thisHour);
        assertEq(ledger.logSpan(NORTH).last, _thisHour);
    }

    function test_LogIsSignedAndRelayed() public {
        IModule.Auth memory auth = _consent(
            north,
            address(ledger),
            "DeliveryLedger",
            "CommitLog(bytes16 inst,uint32 hour,bytes32 root,uint8 countLog2,uint256 nonce,uint64 deadline)",
            abi.encode(NORTH, _thisHour, ROOT, uint8(7))
        );
        _expect(_badSignature(north.addr));
        ledger.commitLogBySig(NORTH, _thisHour, ROOT, 6, auth);
        vm.prank(relayer);
        ledger.commitLogBySig(NORTH, _thisHour, ROOT, 7, auth);
        assertEq(ledger.logHead(NORTH, _thisHour).countLog2, 7);
    }

    // ── challengeLog ──

    function test_ChallengeNamesWhoLeftOutAnHour() public {
        _commit(_thisHour);
        uint64 notBefore = _endOf(_thisHour + 1) + 3 * HOUR;
        vm.warp(notBefore - 1);
        _expect(_tooEarly(notBefore));
        ledger.challengeLog(NORTH, _thisHour + 1);
        vm.warp(notBefore);
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.LogMissed(NORTH, _thisHour + 1);
        vm.prank(stranger);
        ledger.challengeLog(NORTH, _thisHour + 1);
        assertTrue(ledger.isLogMissed(NORTH, _thisHour + 1));
        assertFalse(ledger.isLogMissed(NORTH, _thisHour + 2));
        _scoreIs(NORTH, 0, Score.ONE / 2);
        _expect(_exists(_missedId(_thisHour + 1)));
        ledger.challengeLog(NORTH, _thisHour + 1);
    }

    function test_ChallengeEndsThirtyDaysLater() public {
        _commit(_thisHour);
        uint64 deadline = _endOf(_thisHour + 1) + 30 * DAY;
        vm.warp(deadline + 1);
        _expect(_tooLate(deadline));
        ledger.challengeLog(NORTH, _thisHour + 1);
        vm.warp(deadline);
        ledger.challengeLog(NORTH, _thisHour + 1);
    }

    function test_ChallengeNeedsAnEarlierCommitment() public {
        vm.warp(_now() + DAY);
        _expect(_seqMismatch(_thisHour + 1, 1));
        ledger.challengeLog(NORTH, _thisHour + 1);
        _commit(_thisHour + 2);
        _expect(_seqMismatch(_thisHour + 2, _thisHour + 3));
        ledger.challengeLog(NORTH, _thisHour + 2);
        _expect(_seqMismatch(_thisHour + 1, _thisHour + 3));
        ledger.challengeLog(NORTH, _thisHour + 1);
    }

    function test_ChallengeOfACommittedHourRefused() public {
        _commit(_thisHour);
        vm.warp(_now() + DAY);
        _commit(_thisHour + 1);
        _expect(_exists(_missedId(_thisHour + 1)));
        ledger.challengeLog(NORTH, _thisHour + 1);
    }

    function test_ChallengeSparesWhoWasNotEffectiveAtTheEnd() public {
        _commit(_thisHour);
        vm.warp(_endOf(_thisHour + 1) - 1);
        _suspendInstitution(NORTH, _now() + 10);
        vm.warp(_now() + DAY);
        _expect(_notActive(NORTH, 5));
        ledger.challengeLog(NORTH, _thisHour + 1);
        _scoreIs(NORTH, 0, 0);
    }
}
