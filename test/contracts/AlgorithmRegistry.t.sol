// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IAlgorithmRegistry} from "../../contracts/interfaces/IAlgorithmRegistry.sol";
import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {ComputeBase} from "./ComputeBase.t.sol";

contract AlgorithmRegistryTest is ComputeBase {
    bytes32 private constant REPORT = keccak256("report");
    string private constant SUBMISSION =
        "AlgorithmSubmission(bytes16 author,bytes32 moduleHash,bytes32 sourceHash,bytes32 schemaHash,bytes32 salt)";

    uint64 private _end;

    function setUp() public override {
        super.setUp();
        _end = _now() + 30 * DAY;
    }

    function _draftOf(bytes16 author)
        private
        pure
        returns (IAlgorithmRegistry.AlgorithmSubmission memory)
    {
        return IAlgorithmRegistry.AlgorithmSubmission({
            author: author,
            moduleHash: keccak256("module"),
            sourceHash: keccak256("source"),
            schemaHash: keccak256("schema"),
            salt: keccak256("salt")
        });
    }

    /// @dev An algorithm of the south.
    function _submitted() private returns (bytes32) {
        vm.prank(south.addr);
        return algorithms.submit(_draftOf(SOUTH));
    }

    function _vote(bytes32 algId, Vm.Wallet memory wallet, bytes16 inst, bool approved) private {
        vm.prank(wallet.addr);
        algorithms.review(algId, inst, approved, REPORT);
    }

    function _reviewed() private returns (bytes32 algId) {
        algId = _submitted();
        _vote(algId, north, NORTH, true);
        _vote(algId, inspectorate, INSPECTORATE, true);
    }

    function _is(bytes32 algId, IAlgorithmRegistry.Status status) private view {
        assertEq(uint8(algorithms.algorithm(algId).status), uint8(status), "status");
    }

    function _credits(bytes16 inst) private view returns (uint64) {
        return incentives.creditsOf(inst).balance;
    }

    // ── submit ──

    function test_SubmitStoresAndTellsAll() public {
        IAlgorithmRegistry.AlgorithmSubmission memory a = _draftOf(SOUTH);
        bytes32 want = _digest(
            address(algorithms),
            "AlgorithmRegistry",
            keccak256(abi.encode(keccak256(bytes(SUBMISSION)), a))
        );
        vm.expectEmit(address(algorithms));
        emit IAlgorithmRegistry.AlgorithmSubmitted(want, a);
        bytes32 algId = _submitted();
        assertEq(algId, want);

        IAlgorithmRegistry.Algorithm memory stored = algorithms.algorithm(algId);
        assertEq(stored.author, SOUTH);
        assertEq(uint8(stored.status), uint8(IAlgorithmRegistry.Status.Submitted));
        assertEq(stored.approvals, 0);
        assertEq(stored.rejections, 0);
        assertEq(stored.submittedAt, _now());
        assertEq(stored.moduleHash, a.moduleHash);
        assertEq(stored.sourceHash, a.sourceHash);
        assertEq(stored.schemaHash, a.schemaHash);
    }

    function test_SubmitBySignatureMakesTheSameId() public {
        IAlgorithmRegistry.AlgorithmSubmission memory a = _draftOf(SOUTH);
        bytes memory signature = _signStruct(
            south,
            address(algorithms),
            "AlgorithmRegistry",
            abi.encode(keccak256(bytes(SUBMISSION)), a)
        );
        vm.startPrank(relayer);
        _expect(_badSignature(north.addr));
        algorithms.submitBySig(a, north.addr, signature);
        bytes32 algId = algorithms.submitBySig(a, south.addr, signature);
        vm.stopPrank();
        _is(algId, IAlgorithmRegistry.Status.Submitted);
    }

    function test_SubmitRefusesTheSameDocumentTwice() public {
        bytes32 algId = _submitted();
        _expect(_exists(algId));
        _submitted();
    }

    function test_SubmitRefusesAnybodyButAStewardOfTheAuthor() public {
        (, Vm.Wallet memory clerk) = _staff(south, SOUTH, "clerk", Roles.ALL & ~Roles.STEWARD);
        address[3] memory others = [clerk.addr, north.addr, stranger];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            _expect(_notParty(SOUTH, others[i]));
            algorithms.submit(_draftOf(SOUTH));
        }
    }

    function test_SubmitIsAnOpeningAct() public {
        _stop(Codes.ALGORITHM_REGISTRY);
        _expect(_stopped(Codes.ALGORITHM_REGISTRY, _now() + DAY));
        _submitted();
        vm.warp(_now() + DAY);
        _suspendInstitution(SOUTH, _now() + DAY);
        _expect(_notActive(SOUTH, 5));
        _submitted();
    }

    // ── review ──

    function test_ReviewApprovesAtTheSecondVoteAndEarnsCredits() public {
        bytes32 algId = _submitted();
        assertFalse(algorithms.hasReviewed(algId, NORTH));
        vm.expectEmit(address(algorithms));
        emit IAlgorithmRegistry.AlgorithmReviewed(
            algId, NORTH, true, REPORT, IAlgorithmRegistry.Status.Submitted
        );
        _vote(algId, north, NORTH, true);
        assertTrue(algorithms.hasReviewed(algId, NORTH));
        assertEq(_credits(NORTH), 5_000_000);
        vm.expectEmit(address(algorithms));
        emit IAlgorithmRegistry.AlgorithmReviewed(
            algId, INSPECTORATE, true, REPORT, IAlgorithmRegistry.Status.Reviewed
        );
        _vote(algId, inspectorate, INSPECTORATE, true);
        _is(algId, IAlgorithmRegistry.Status.Reviewed);
        assertEq(algorithms.algorithm(algId).approvals, 2);
    }

    function test_ReviewRejectsAtTheSecondRejectionEvenAfterApproval() public {
        (bytes16 east, Vm.Wallet memory eastWallet) = _joined("east", 4);
        (bytes16 west, Vm.Wallet memory westWallet) = _joined("west", 5);
        bytes32 algId = _reviewed();
        _vote(algId, eastWallet, east, false);
        _is(algId, IAlgorithmRegistry.Status.Reviewed);
        _vote(algId, westWallet, west, false);
        _is(algId, IAlgorithmRegistry.Status.Rejected);
        assertEq(algorithms.algorithm(algId).rejections, 2);
    }

    function test_ReviewRefusesASecondVoteOfAnInstitution() public {
        bytes32 algId = _submitted();
        _vote(algId, north, NORTH, true);
        _expect(_exists(NORTH));
        _vote(algId, north, NORTH, false);
    }

    function test_ReviewRefusesApprovalsOfWhatIsReviewedAlready() public {
        (bytes16 east, Vm.Wallet memory eastWallet) = _joined("east", 4);
        bytes32 algId = _reviewed();
        _expect(_wrongState(algId, 2, 1));
        _vote(algId, eastWallet, east, true);

        bytes32 other = _submittedBy(north, NORTH);
        _vote(other, south, SOUTH, false);
        _vote(other, inspectorate, INSPECTORATE, false);
        _expect(_wrongState(other, 3, 1));
        _vote(other, eastWallet, east, true);
        _expect(_wrongState(other, 3, 1));
        _vote(other, eastWallet, east, false);
    }

    function test_ReviewRefusesTheAuthorAndItsGroup() public {
        (bytes16 sister, Vm.Wallet memory sisterWallet) = _joined("sister", 0);
        vm.prank(admin);
        institutions.setClass(sister, TIER, 2);
        (bytes16 free, Vm.Wallet memory freeWallet) = _joined("free", 0);
        bytes32 algId = _submitted();
        _expect(abi.encodeWithSelector(IAlgorithmRegistry.SameGroup.selector, 2));
        _vote(algId, south, SOUTH, true);
        _expect(abi.encodeWithSelector(IAlgorithmRegistry.SameGroup.selector, 2));
        _vote(algId, sisterWallet, sister, true);

        bytes32 other = _submittedBy(freeWallet, free);
        _expect(abi.encodeWithSelector(IAlgorithmRegistry.SameGroup.selector, 0));
        _vote(other, freeWallet, free, true);
        (bytes16 alone, Vm.Wallet memory aloneWallet) = _joined("alone", 0);
        _vote(other, aloneWallet, alone, true);
        assertEq(algorithms.algorithm(other).approvals, 1);
    }

    function test_ReviewRefusesAnInstitutionOnProbation() public {
        Vm.Wallet memory young = vm.createWallet("young");
        bytes16 id = bytes16(keccak256("young"));
        vm.prank(young.addr);
        institutions.submitApplication(_application(id, Codes.PROVIDER, 9, young.addr));
        vm.prank(north.addr);
        institutions.sponsor(id, NORTH);
        vm.prank(south.addr);
        institutions.sponsor(id, SOUTH);
        vm.prank(admin);
        institutions.admit(id, TIER);
        bytes32 algId = _submitted();
        _expect(_notActive(id, uint8(IInstitutionRegistry.Status.Probation)));
        _vote(algId, young, id, true);
    }

    function test_ReviewRefusesAnybodyButAReviewer() public {
        bytes32 algId = _submitted();
        (, Vm.Wallet memory reviewer) = _staff(north, NORTH, "reviewer", Roles.REVIEWER);
        (, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.ALL & ~Roles.REVIEWER);
        _expect(_notParty(NORTH, clerk.addr));
        _vote(algId, clerk, NORTH, true);
        _vote(algId, reviewer, NORTH, true);
        assertTrue(algorithms.hasReviewed(algId, NORTH));
    }

    function test_ReviewRefusesBuiltInsAndUnknownAlgorithms() public {
        _expect(_unknown(COUNT));
        _vote(COUNT, north, NORTH, false);
        _expect(_unknown("nothing"));
        _vote("nothing", north, NORTH, false);
    }

    function test_ReviewBySignatureCountsOnce() public {
        bytes32 algId = _submitted();
        IModule.Auth memory auth = _consent(
            north,
            address(algorithms),
            "AlgorithmRegistry",
            "Review(bytes32 algId,bytes16 inst,bool approved,bytes32 reportHash,uint256 nonce,uint64 deadline)",
            abi.encode(algId, NORTH, true, REPORT)
        );
        algorithms.reviewBySig(algId, NORTH, true, REPORT, auth);
        assertEq(algorithms.algorithm(algId).approvals, 1);
        vm.expectRevert();
        algorithms.reviewBySig(algId, NORTH, true, REPORT, auth);
    }

    function test_ReviewIsAnOpeningAct() public {
        bytes32 algId = _submitted();
        _stop(Codes.ALGORITHM_REGISTRY);
        _expect(_stopped(Codes.ALGORITHM_REGISTRY, _now() + DAY));
        _vote(algId, north, NORTH, true);
        vm.warp(_now() + DAY);
        _suspendInstitution(NORTH, _now() + DAY);
        _expect(_notActive(NORTH, 5));
        _vote(algId, north, NORTH, true);
    }

    // ── withdraw ──

    function test_WithdrawEndsSubmittedAndReviewedAlgorithmsForGood() public {
        bytes32 algId = _submitted();
        vm.expectEmit(address(algorithms));
        emit IAlgorithmRegistry.AlgorithmWithdrawn(algId);
        vm.prank(south.addr);
        algorithms.withdrawAlgorithm(algId);
        _is(algId, IAlgorithmRegistry.Status.Withdrawn);
        _expect(_wrongState(algId, 4, 1));
        vm.prank(south.addr);
        algorithms.withdrawAlgorithm(algId);
        _expect(_wrongState(algId, 4, 1));
        _vote(algId, north, NORTH, true);

        bytes32 other = _submittedBy(inspectorate, INSPECTORATE);
        _vote(other, north, NORTH, true);
        _vote(other, south, SOUTH, true);
        vm.prank(inspectorate.addr);
        algorithms.withdrawAlgorithm(other);
        _is(other, IAlgorithmRegistry.Status.Withdrawn);
    }

    function test_WithdrawBySignatureDoesTheSame() public {
        bytes32 algId = _submitted();
        IModule.Auth memory auth = _consent(
            south,
            address(algorithms),
            "AlgorithmRegistry",
            "WithdrawAlgorithm(bytes32 algId,uint256 nonce,uint64 deadline)",
            abi.encode(algId)
        );
        vm.prank(relayer);
        algorithms.withdrawAlgorithmBySig(algId, auth);
        _is(algId, IAlgorithmRegistry.Status.Withdrawn);
    }

    function test_WithdrawRefusesAnybodyButAStewardOfTheAuthor() public {
        bytes32 algId = _submitted();
        vm.prank(north.addr);
        _expect(_notParty(SOUTH, north.addr));
        algorithms.withdrawAlgorithm(algId);
        vm.prank(south.addr);
        _expect(_unknown("nothing"));
        algorithms.withdrawAlgorithm("nothing");
    }

    function test_WithdrawWorksWhileStopped() public {
        bytes32 algId = _submitted();
        _stop(Codes.ALGORITHM_REGISTRY);
        _suspendInstitution(SOUTH, _now() + DAY);
        vm.prank(south.addr);
        algorithms.withdrawAlgorithm(algId);
        _is(algId, IAlgorithmRegistry.Status.Withdrawn);
    }

    // ── allow ──

    function test_AllowLetsAReviewedAlgorithmRunUntilItsEnd() public {
        bytes32 algId = _reviewed();
        vm.expectEmit(address(algorithms));
        emit IAlgorithmRegistry.AlgorithmAllowed(DATASET, algId, _end);
        vm.prank(north.addr);
        algorithms.allow(DATASET, algId, _end);
        assertEq(algorithms.allowedUntil(DATASET, algId), _end);
        assertTrue(algorithms.isAllowed(DATASET, algId, _end - 1));
        assertFalse(algorithms.isAllowed(DATASET, algId, _end));
        assertFalse(algorithms.isAllowed(pool[0], algId, _now()));
    }

    function test_AllowRefusesWhatIsNotReviewed() public {
        bytes32 algId = _submitted();
        vm.startPrank(north.addr);
        _expect(_wrongState(algId, 1, 2));
        algorithms.allow(DATASET, algId, _end);
        _expect(_unknown("nothing"));
        algorithms.allow(DATASET, "nothing", _end);
    }

    function test_AllowRefusesAnEndThatIsPastOrBeyondAYear() public {
        vm.startPrank(north.addr);
        uint64 max = _now() + 365 * DAY;
        _expect(_outOfBounds(_now(), _now() + 1, max));
        algorithms.allow(DATASET, COUNT, _now());
        _expect(_outOfBounds(max + 1, _now() + 1, max));
        algorithms.allow(DATASET, COUNT, max + 1);
        algorithms.allow(DATASET, COUNT, _now() + 1);
        algorithms.allow(DATASET, COUNT, max);
    }

    function test_AllowRefusesAnybodyButAStewardOfTheOwner() public {
        (, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.ALL & ~Roles.STEWARD);
        address[2] memory others = [clerk.addr, south.addr];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            _expect(_notParty(NORTH, others[i]));
            algorithms.allow(DATASET, COUNT, _end);
        }
    }

    function test_AllowRefusesUnknownDatasets() public {
        vm.prank(north.addr);
        _expect(_unknown("nothing"));
        algorithms.allow("nothing", COUNT, _end);
    }

    function test_AllowBySignatureDoesTheSame() public {
        IModule.Auth memory auth = _consent(
            north,
            address(algorithms),
            "AlgorithmRegistry",
            "Allow(bytes16 dataset,bytes32 algId,uint64 until,uint256 nonce,uint64 deadline)",
            abi.encode(DATASET, COUNT, _end)
        );
        vm.prank(relayer);
        algorithms.allowBySig(DATASET, COUNT, _end, auth);
        assertEq(algorithms.allowedUntil(DATASET, COUNT), _end);
    }

    function test_AllowIsAnOpeningAct() public {
        _stop(Codes.ALGORITHM_REGISTRY);
        _expect(_stopped(Codes.ALGORITHM_REGISTRY, _now() + DAY));
        vm.prank(north.addr);
        algorithms.allow(DATASET, COUNT, _end);
        vm.warp(_now() + DAY);
        _suspendInstitution(NORTH, _now() + DAY);
        _expect(_notActive(NORTH, 5));
        vm.prank(north.addr);
        algorithms.allow(DATASET, COUNT, _end);
    }

    // ── disallow ──

    function test_DisallowEndsTheLeaveAtOnce() public {
        vm.expectEmit(address(algorithms));
        emit IAlgorithmRegistry.AlgorithmDisallowed(pool[0], COUNT);
        vm.prank(north.addr);
        algorithms.disallow(pool[0], COUNT);
        assertEq(algorithms.allowedUntil(pool[0], COUNT), 0);
        assertFalse(algorithms.isAllowed(pool[0], COUNT, _now()));
    }

    function test_DisallowRefusesWhatWasNotAllowed() public {
        vm.startPrank(north.addr);
        _expect(_unknown(COUNT));
        algorithms.disallow(DATASET, COUNT);
        _expect(_unknown("nothing"));
        algorithms.disallow("nothing", COUNT);
    }

    function test_DisallowRefusesAnybodyButAStewardOfTheOwner() public {
        vm.prank(south.addr);
        _expect(_notParty(NORTH, south.addr));
        algorithms.disallow(pool[0], COUNT);
    }

    function test_DisallowBySignatureDoesTheSame() public {
        IModule.Auth memory auth = _consent(
            north,
            address(algorithms),
            "AlgorithmRegistry",
            "Disallow(bytes16 dataset,bytes32 algId,uint256 nonce,uint64 deadline)",
            abi.encode(pool[0], COUNT)
        );
        vm.prank(relayer);
        algorithms.disallowBySig(pool[0], COUNT, auth);
        assertEq(algorithms.allowedUntil(pool[0], COUNT), 0);
    }

    function test_DisallowWorksWhileStopped() public {
        _stop(Codes.ALGORITHM_REGISTRY);
        _suspendInstitution(NORTH, _now() + DAY);
        vm.prank(north.addr);
        algorithms.disallow(pool[0], COUNT);
        assertEq(algorithms.allowedUntil(pool[0], COUNT), 0);
    }

    // ── isAllowed ──

    function test_IsAllowedIsFalseOnceTheAlgorithmIsRejectedOrWithdrawn() public {
        bytes32 algId = _reviewed();
        vm.prank(north.addr);
        algorithms.allow(DATASET, algId, _end);
        vm.prank(south.addr);
        algorithms.withdrawAlgorithm(algId);
        assertFalse(algorithms.isAllowed(DATASET, algId, _now()));
    }

    function test_IsAllowedKnowsTheElevenBuiltInsAndNothingElse() public view {
        string[11] memory ops = [
            "count",
            "sum",
            "mean",
            "variance",
            "histogram",
            "crosstab",
            "quantile",
            "km",
            "linreg",
            "logreg",
            "gradient"
        ];
        for (uint256 i = 0; i < ops.length; ++i) {
            bytes32 algId = keccak256(bytes(string.concat("msnet/builtin/", ops[i], "/1")));
            _is(algId, IAlgorithmRegistry.Status.Reviewed);
            assertFalse(algorithms.isAllowed(DATASET, algId, _now()), "needs a leave");
        }
        _is(keccak256("msnet/builtin/median/1"), IAlgorithmRegistry.Status.None);
        assertTrue(algorithms.isAllowed(pool[0], COUNT, _now()));
    }

    // ── people ──

    function _submittedBy(Vm.Wallet memory wallet, bytes16 author) private returns (bytes32) {
        vm.prank(wallet.addr);
        return algorithms.submit(_draftOf(author));
    }

    function _joined(string memory name, uint32 group)
        private
        returns (bytes16 id, Vm.Wallet memory wallet)
    {
        id = bytes16(keccak256(bytes(name)));
        wallet = vm.createWallet(name);
        _join(id, group, wallet.addr);
    }
}
