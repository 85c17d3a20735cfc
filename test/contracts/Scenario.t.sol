// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm, VmSafe} from "forge-std/Vm.sol";

import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {IAlgorithmRegistry} from "../../contracts/interfaces/IAlgorithmRegistry.sol";
import {ICareRegistry} from "../../contracts/interfaces/ICareRegistry.sol";
import {IConsentRegistry} from "../../contracts/interfaces/IConsentRegistry.sol";
import {ICouncil} from "../../contracts/interfaces/ICouncil.sol";
import {IDataHubRegistry} from "../../contracts/interfaces/IDataHubRegistry.sol";
import {IDeliveryLedger} from "../../contracts/interfaces/IDeliveryLedger.sol";
import {ISupervision} from "../../contracts/interfaces/ISupervision.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {AccessBase} from "./AccessBase.t.sol";
import {BreakGlassBase} from "./BreakGlassBase.t.sol";
import {ComputeBase} from "./ComputeBase.t.sol";
import {PanelBase} from "./PanelBase.t.sol";

/// @title One life of everything: real sample records are anchored, and every contract is used.
/// @notice `test/contracts/leaks` reads every byte that this leaves on chain;
/// `test/contracts/replay` rebuilds every table from the logs alone. Both read what stands in
/// `target/forge/scenario`.
contract ScenarioTest is ComputeBase, BreakGlassBase, PanelBase {
    string private constant OUT = "target/forge/scenario/";
    string private constant SAMPLES = "edge/data/demo/";

    uint256 private _drawn;
    string private _world;
    bytes32[] private _leaves;
    /// @dev Logs so far, a line each: time, emitter, topics, data.
    string[] private _lines;

    /// @dev Each world sets itself up, so that its first logs are seen.
    function setUp() public override(ComputeBase, BreakGlassBase, PanelBase) {}

    // ── two worlds that differ in one patient ──

    function test_TheFirstWorld() public {
        string[] memory records_ = new string[](4);
        records_[0] = "hospital-a/adt-a01.hl7";
        records_[1] = "hospital-a/oru-r01.hl7";
        records_[2] = "hospital-a/type2-diabetes.ndjson";
        records_[3] = "hospital-a/follow-up.txt";
        _live("first", records_);
    }

    function test_TheSecondWorld() public {
        string[] memory records_ = new string[](6);
        records_[0] = "hospital-a/adt-a01.hl7";
        records_[1] = "hospital-a/oru-r01.hl7";
        records_[2] = "hospital-a/type2-diabetes.ndjson";
        records_[3] = "hospital-b/adt-a04.hl7";
        records_[4] = "hospital-b/oru-r01.hl7";
        records_[5] = "hospital-b/synthea-patient.json";
        _live("second", records_);
    }

    /// @dev Everything from the first contract on, and what it leaves.
    function _live(string memory world, string[] memory files) private {
        _world = world;
        vm.recordLogs();
        vm.startStateDiffRecording();
        super.setUp();
        _anchorRecords(files);
        _projectLane();
        _careLane();
        _identity();
        _jobsOfAllKinds();
        _cases();
        _council();
        VmSafe.AccountAccess[] memory accesses = vm.stopAndReturnStateDiff();
        _note(vm.getRecordedLogs());
        assertGt(_lines.length, 300, "logs");
        _write(accesses);
    }

    /// @dev Before time moves, what was logged until then is noted with the time it was logged at.
    function _warp(uint256 to) internal override {
        _note(vm.getRecordedLogs());
        vm.warp(to);
    }

    function _note(Vm.Log[] memory logs) private {
        for (uint256 i = 0; i < logs.length; ++i) {
            string memory line =
                string.concat(vm.toString(_now()), " ", vm.toString(logs[i].emitter));
            for (uint256 j = 0; j < logs[i].topics.length; ++j) {
                line = string.concat(line, " ", vm.toString(logs[i].topics[j]));
            }
            _lines.push(string.concat(line, " ", vm.toString(logs[i].data)));
        }
    }

    /// @dev As good as random, and other in each world.
    function _random() private returns (bytes32) {
        return keccak256(abi.encode(_world, ++_drawn));
    }

    // ── records ──

    function _anchorRecords(string[] memory files) private {
        for (uint256 i = 0; i < 16; ++i) {
            bool real = i < files.length;
            _leaves.push(real ? _leafOf(vm.readFile(string.concat(SAMPLES, files[i]))) : _random());
        }
        (bytes32 root, bytes32[] memory proof) = _tree(3);
        vm.startPrank(north.addr);
        records.anchor(NORTH, 1, 0, root, 4, 1);
        records.anchor(NORTH, 2, root, _random(), 7, 1);
        records.withdraw(NORTH, 1, 3, _leaves[3], 1, proof);
        catalog.revise(DATASET, _random(), Codes.DUO_GRU | Codes.DUO_IRB, 3, 2, 12, 3);
        catalog.setStatus(pool[15], 2);
        catalog.setStatus(pool[15], 3);

        IConsentRegistry consents = IConsentRegistry(_at(Codes.CONSENT_REGISTRY));
        // Cast: the number of a day.
        uint32 epoch = uint32(_now() / DAY);
        consents.commitEpoch(NORTH, epoch, _random(), 4);
        _warp(_now() + 2 * DAY + 7 * HOUR);
        consents.commitEpoch(NORTH, epoch + 2, _random(), 5);
        vm.stopPrank();
        consents.challengeEpoch(NORTH, epoch + 1);
    }

    /// @dev The leaf of a sample, as an edge makes it.
    function _leafOf(string memory content) private returns (bytes32) {
        bytes32 typeHash = keccak256(
            "RecordLeaf(uint16 version,bytes16 handle,bytes16 prevHandle,uint16 kind,uint16 schema,uint16 format,bytes32 contentHash,bytes32 summaryHash,uint32 qualityLabel,uint32 consentEpoch,bytes32 salt)"
        );
        bytes32 contentHash =
            keccak256(abi.encodePacked(keccak256("msnet/content/1"), _random(), content));
        bytes32 summaryHash =
            keccak256(abi.encodePacked(keccak256("msnet/summary/1"), _random(), "{}"));
        bytes memory preimage = abi.encode(
            typeHash,
            uint16(1),
            bytes16(_random()),
            bytes16(0),
            uint16(1),
            uint16(1),
            uint16(1),
            contentHash,
            summaryHash,
            uint32(0x5f645a50),
            uint32(_now() / DAY),
            _random()
        );
        return keccak256(abi.encodePacked(keccak256(preimage)));
    }

    function _tree(uint256 index) private view returns (bytes32, bytes32[] memory proof) {
        bytes32[] memory level = _leaves;
        proof = new bytes32[](4);
        for (uint256 depth = 0; depth < 4; ++depth) {
            proof[depth] = level[index ^ 1];
            bytes32[] memory up = new bytes32[](level.length / 2);
            for (uint256 i = 0; i < up.length; ++i) {
                up[i] = keccak256(abi.encodePacked(level[2 * i], level[2 * i + 1]));
            }
            (level, index) = (up, index / 2);
        }
        return (level[0], proof);
    }

    // ── the project lane ──

    function _projectLane() private {
        bytes32 grantId = _countered();
        vm.prank(south.addr);
        access.delegate(grantId, medicId, _now() + 10 * DAY);
        vm.prank(south.addr);
        access.delegate(grantId, secondId, _now() + 10 * DAY);
        vm.prank(south.addr);
        access.endDelegation(grantId, secondId);
        _acknowledge(_offer(grantId, 1, _random()), 0, 5, 10);
        _acknowledge(_offer(grantId, 2, _random()), 5, 0, 0);
        bytes32 silent = _offer(grantId, 3, _random());
        _warp(ledger.delivery(silent).receiptBy + 1);
        ledger.expire(silent);
        bytes32 late = _offer(grantId, 4, _random());
        IDeliveryLedger.Receipt memory r = _receipt(late);
        vm.prank(south.addr);
        ledger.postReceipt(r);
        vm.prank(north.addr);
        ledger.releaseKey(late, abi.encodePacked(_random(), _random(), _random()));
        _warp(ledger.delivery(late).ackBy + 1);
        ledger.expire(late);
        _keyOverdue();
        vm.startPrank(north.addr);
        access.suspend(grantId);
        access.resume(grantId);
        access.revoke(grantId, 1, _random());
        // Casts: the number of an hour.
        ledger.commitLog(NORTH, uint32(_now() / HOUR), _random(), 6);
        _warp(_now() + 6 * HOUR);
        ledger.commitLog(NORTH, uint32(_now() / HOUR), _random(), 6);
        vm.stopPrank();
        ledger.challengeLog(NORTH, uint32(_now() / HOUR) - 4);

        bytes32 refused = _requested();
        vm.prank(north.addr);
        access.refuse(refused, 2, _random());
        bytes32 withdrawn = _requested();
        vm.prank(south.addr);
        access.withdrawRequest(withdrawn);
        bytes32 done = _granted();
        vm.prank(south.addr);
        access.complete(done);
        bytes32 missed = _granted();
        bytes32 lapsed = _requested();
        _warp(_now() + 8 * DAY);
        access.lapse(lapsed);
        ledger.expireDuty(missed);
        _warp(access.grant(missed).validUntil);
        access.expire(missed);
    }

    /// @dev A request, a counter-offer, an answer to it.
    function _countered() private returns (bytes32 grantId) {
        grantId = _requested();
        IAccessRegistry.Grant memory g = access.grant(grantId);
        IAccessRegistry.CounterOffer memory c = IAccessRegistry.CounterOffer({
            grantId: grantId,
            round: 1,
            mode: Codes.DELIVER,
            validFrom: g.validFrom,
            validUntil: g.validUntil - DAY,
            answerBy: g.answerBy,
            deliverWithin: DAY,
            scopeHash: _random(),
            termsHash: _random()
        });
        vm.prank(north.addr);
        access.counter(c);
        bytes32 document = access.grant(grantId).document;
        vm.prank(south.addr);
        access.accept(grantId, document);
    }

    function _acknowledge(bytes32 deliveryId, uint8 verdict, uint8 quality, uint8 novelty) private {
        IDeliveryLedger.Acknowledgement memory a = IDeliveryLedger.Acknowledgement(
            deliveryId, ledger.delivery(deliveryId).offerHash, verdict, quality, novelty
        );
        vm.prank(south.addr);
        ledger.acknowledge(a);
    }

    // ── the care lane ──

    function _careLane() private {
        ICareRegistry.Agreement memory a = ICareRegistry.Agreement({
            a: NORTH,
            b: SOUTH,
            purposes: Codes.CARE_PURPOSES,
            validFrom: _now(),
            validUntil: _now() + 365 * DAY,
            dutySecs: 3600,
            termsHash: _random(),
            salt: _random()
        });
        vm.prank(north.addr);
        bytes32 id = care.proposeAgreement(a);
        vm.startPrank(south.addr);
        care.answerAgreement(id, true);
        care.moveAgreement(id, 3);
        care.moveAgreement(id, 2);
        vm.stopPrank();

        vm.prank(south.addr);
        institutions.setPractitioner(medicId, Roles.EMERGENCY | Roles.CLINICIAN, _now() + 300 * DAY);
        vm.prank(south.addr);
        institutions.setPractitioner(secondId, Roles.CLINICIAN, _now() + 300 * DAY);
        bytes32 reviewed = _reported();
        vm.prank(north.addr);
        care.review(reviewed, false, _random());
        bytes32 silent = _reported();
        bytes32 overdue = _opened();
        _warp(_now() + 80 * HOUR);
        care.closeBreakGlass(silent);
        care.closeBreakGlass(overdue);
        ICareRegistry.BreakGlass memory hidden = _emergency();
        _warp(_now() + 3 * HOUR);
        care.proveUnreported(hidden, medic.addr, _sign(medic, _caseId(hidden)));
    }

    // ── keys, staff, hubs ──

    function _identity() private {
        Vm.Wallet memory next = vm.createWallet(string.concat("next of ", _world));
        _bindAccount(north.addr, NORTH, next);
        vm.startPrank(north.addr);
        bytes memory seal = abi.encodePacked(_random());
        keys.addKey(NORTH, Codes.SEAL, seal, _now(), _now() + 100 * DAY, "");
        keys.retireKey(keccak256(abi.encodePacked(Codes.SEAL, seal)), _now() + DAY);
        keys.revokeKey(_keyId(next.addr), _now());
        bytes16[] memory guardians = new bytes16[](2);
        (guardians[0], guardians[1]) = (SOUTH, INSPECTORATE);
        keys.setGuardians(NORTH, guardians, 2);
        institutions.describe(NORTH, "North Hospital", "https://north.example");
        vm.stopPrank();
        vm.prank(south.addr);
        institutions.endPractitioner(secondId);

        (bytes16 hub, Vm.Wallet memory person) =
            _hub(string.concat("hub of ", _world), NORTH, north.addr);
        IDataHubRegistry hubs = IDataHubRegistry(_at(Codes.DATA_HUB_REGISTRY));
        vm.startPrank(person.addr);
        hubs.setPolicy(hub, _random());
        hubs.allowMove(hub, SOUTH);
        vm.stopPrank();
        vm.prank(south.addr);
        hubs.moveHub(hub, SOUTH);
        IDataHubRegistry.ServiceOffer memory offer = IDataHubRegistry.ServiceOffer({
            service: INSPECTORATE,
            purpose: 5,
            sensitivity: 2,
            algId: COUNT,
            termsHash: _random(),
            validUntil: _now() + 300 * DAY,
            salt: _random()
        });
        vm.startPrank(inspectorate.addr);
        bytes32 offerId = hubs.publishOffer(offer);
        hubs.retireOffer(offerId);
        vm.stopPrank();
        vm.prank(person.addr);
        hubs.closeHub(hub);
    }

    // ── computing ──

    function _jobsOfAllKinds() private {
        for (uint256 i = 0; i < 5; ++i) {
            vm.prank(north.addr);
            algorithms.allow(pool[i], COUNT, _now() + 300 * DAY);
        }
        _earn(SOUTH, 4);
        vm.prank(north.addr);
        budgets.setCap(pool[0], 1900, 20_000);
        bytes32 jobId = _releasedJob(3);
        vm.prank(south.addr);
        jobs.confirm(jobId, 4);
        jobs.settleSite(jobId, 0);
        bytes32 failed = _running(1);
        vm.prank(north.addr);
        jobs.fail(failed, 0, 1);
        bytes32 declined = _funded(4);
        _permitSite(declined, 0);
        _declineSite(declined, 1);
        _declineSite(declined, 0);
        bytes32 withheld = _running(1);
        _commitSite(withheld, 0, false);
        jobs.release(withheld);
        bytes32 late = _running(3);
        bytes32 settled = _releasedJob(1);
        _warp(jobs.job(late).runBy + 8 * DAY);
        jobs.timeout(late);
        jobs.settleSite(late, 1);
        jobs.settle(settled);

        IAlgorithmRegistry.AlgorithmSubmission memory a = IAlgorithmRegistry.AlgorithmSubmission(
            SOUTH, _random(), _random(), _random(), _random()
        );
        vm.prank(south.addr);
        bytes32 algId = algorithms.submit(a);
        vm.prank(north.addr);
        algorithms.review(algId, NORTH, true, _random());
        vm.prank(inspectorate.addr);
        algorithms.review(algId, INSPECTORATE, true, _random());
        vm.startPrank(north.addr);
        algorithms.allow(pool[0], algId, _now() + DAY);
        algorithms.disallow(pool[0], algId);
        vm.stopPrank();
        vm.prank(south.addr);
        algorithms.withdrawAlgorithm(algId);
    }

    // ── complaints ──

    function _cases() private {
        _judges(9);
        bytes32 byRule = _filed(_keyOverdue());
        supervision.closeByRule(byRule);
        bytes32 conceded = _filed(_offered());
        vm.prank(north.addr);
        supervision.concede(conceded);
        bytes32 withdrawn = _filed(_offered());
        vm.prank(south.addr);
        supervision.withdrawComplaint(withdrawn);

        bytes32 caseId = _filed(_offered());
        vm.prank(north.addr);
        supervision.respond(caseId, _random());
        vm.prank(south.addr);
        supervision.submitEvidence(caseId, SOUTH, _random());
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _ruled(caseId, UPHELD, Codes.MAJOR);
        _appealed(caseId, north.addr, NORTH);
        _ruled(caseId, UPHELD, Codes.MINOR);
        supervision.execute(caseId);
        _warp(_now() + 40 * DAY);
        sanctions.prune(NORTH);
    }

    // ── governance ──

    /// @dev A vote that changes what the timelock may do anyway: its own delay.
    function _council() private {
        ICouncil council = ICouncil(_at(Codes.COUNCIL));
        ICouncil.Call[] memory calls = new ICouncil.Call[](1);
        calls[0] = ICouncil.Call(address(timelock), abi.encodeCall(timelock.updateDelay, (3 * DAY)));
        ICouncil.Proposal memory p =
            ICouncil.Proposal(NORTH, 2, keccak256(abi.encode(calls)), _random(), _random());
        vm.prank(north.addr);
        bytes32 proposalId = council.propose(p, calls);
        vm.prank(north.addr);
        council.vote(proposalId, NORTH, true);
        vm.prank(south.addr);
        council.vote(proposalId, SOUTH, false);
        for (uint256 i = 0; i < peers.length; ++i) {
            vm.prank(peers[i].account.addr);
            council.vote(proposalId, peers[i].inst, true);
        }
        _warp(council.proposal(proposalId).voteEnd + 1);
        council.queue(proposalId, calls);
        _warp(council.proposal(proposalId).readyAt);
        council.execute(proposalId, calls);
        assertEq(timelock.getMinDelay(), 3 * DAY);
        vm.prank(guardian);
        directory.stop(Codes.COMPUTE_JOBS);
    }

    // ── what it leaves ──

    /// @dev Calls from outside with their data, logs, and storage as JSON lines; state for a node.
    function _write(VmSafe.AccountAccess[] memory accesses) private {
        vm.createDir(OUT, true);
        string memory base = string.concat(OUT, _world);
        string memory calls = string.concat(base, ".calls");
        string memory written = string.concat(base, ".logs");
        vm.writeFile(calls, "");
        vm.writeFile(written, "");
        for (uint256 i = 0; i < accesses.length; ++i) {
            VmSafe.AccountAccess memory a = accesses[i];
            bool transaction =
                a.kind == VmSafe.AccountAccessKind.Call && a.depth <= 2 && !a.reverted;
            if (!transaction || a.account.code.length == 0 || a.account == address(this)) continue;
            if (a.account == address(vm)) continue;
            vm.writeLine(calls, string.concat(vm.toString(a.account), " ", vm.toString(a.data)));
        }
        for (uint256 i = 0; i < _lines.length; ++i) {
            vm.writeLine(written, _lines[i]);
        }
        vm.dumpState(string.concat(base, ".state.json"));
        string memory names = string.concat(base, ".names");
        vm.writeFile(names, string.concat("AccessManager ", vm.toString(address(manager)), "\n"));
        vm.writeLine(names, string.concat("Directory ", vm.toString(address(directory))));
        vm.writeLine(names, string.concat("TimelockController ", vm.toString(address(timelock))));
        bytes32[] memory modules = _modules();
        for (uint256 i = 0; i < modules.length; ++i) {
            string memory place = vm.toString(directory.addressOf(modules[i]));
            vm.writeLine(names, string.concat(_text(modules[i]), " ", place));
        }
        vm.writeLine(names, string.concat("time ", vm.toString(_now())));
    }
}
