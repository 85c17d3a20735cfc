// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";

import {IAccessRegistry} from "../interfaces/IAccessRegistry.sol";
import {ICredibility} from "../interfaces/ICredibility.sol";
import {IDeliveryLedger} from "../interfaces/IDeliveryLedger.sol";
import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {IKeyRegistry} from "../interfaces/IKeyRegistry.sol";
import {IRecordRegistry} from "../interfaces/IRecordRegistry.sol";
import {Codes} from "../libraries/Codes.sol";
import {MerkleBatch} from "../libraries/MerkleBatch.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";
import {Score} from "../libraries/Score.sol";

/// @title DeliveryLedger, as specified in `interfaces/IDeliveryLedger.sol`.
contract DeliveryLedger is Module, IDeliveryLedger {
    using BitMaps for BitMaps.BitMap;

    // ── types ──

    /// @dev `IDeliveryLedger.Delivery`, packed into three slots. Grant and number are in its id.
    struct Stored {
        bytes32 offerHash;
        bytes16 sender;
        bytes16 recipient;
        State state;
        uint8 faultCode;
        uint8 faultSide;
        uint8 verdict;
        uint8 quality;
        uint8 novelty;
        uint40 receiptBy;
        uint40 keyBy;
        uint40 ackBy;
        uint24 keyWithin;
        uint24 ackWithin;
    }

    /// @dev The deadlines that an offer sets.
    struct Windows {
        uint64 receiptBy;
        uint24 keyWithin;
        uint24 ackWithin;
    }

    /// @dev `IDeliveryLedger.LogHead`, packed into two slots.
    struct PackedLog {
        bytes32 root;
        uint8 countLog2;
        uint40 committedAt;
    }

    // ── constants ──

    bytes32 private constant DELIVERY_OFFER = keccak256(
        "DeliveryOffer(bytes32 grantId,uint32 seq,bytes32 ctRoot,bytes32 ptRoot,uint64 size,uint32 chunkCount,bytes32 keyCommit,bytes32 recvKey,uint64 offeredAt,uint64 receiptBy,uint24 keyWithin,uint24 ackWithin,bytes32 salt)"
    );
    bytes32 private constant RECEIPT =
        keccak256("Receipt(bytes32 deliveryId,bytes32 offerHash,bytes32 ctRoot,uint64 receivedAt)");
    bytes32 private constant ACKNOWLEDGEMENT = keccak256(
        "Acknowledgement(bytes32 deliveryId,bytes32 offerHash,uint8 verdict,uint8 quality,uint8 novelty)"
    );
    bytes32 private constant DELIVERY_ENTRY = keccak256(
        "DeliveryEntry(bytes16 inst,uint64 batchSeq,uint32 index,bytes32 leaf,bytes32 proofHash)"
    );
    bytes32 private constant OFFER = keccak256(
        "Offer(bytes32 grantId,uint32 seq,bytes32 offerHash,uint64 receiptBy,uint24 keyWithin,uint24 ackWithin,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant RELEASE_KEY =
        keccak256("ReleaseKey(bytes32 deliveryId,bytes sealedKey,uint256 nonce,uint64 deadline)");
    bytes32 private constant COMMIT_LOG = keccak256(
        "CommitLog(bytes16 inst,uint32 hour,bytes32 root,uint8 countLog2,uint256 nonce,uint64 deadline)"
    );

    /// @dev HPKE: 32 bytes of encapsulated key, a key of 32 to 64 bytes, 16 bytes of tag.
    uint256 private constant SEALED_KEY_MIN = 80;
    uint256 private constant SEALED_KEY_MAX = 112;
    uint8 private constant QUALITY_MAX = 5;
    uint8 private constant NOVELTY_MAX = 10;
    /// @dev Deepest tree of entries: 2^24 records in one delivery.
    uint256 private constant ENTRY_DEPTH_MAX = 24;
    /// @dev 64 leaves at least, so that a quiet hour looks like a busy one.
    uint8 private constant LOG_COUNT_LOG2_MIN = 6;
    uint8 private constant LOG_COUNT_LOG2_MAX = 24;
    /// @dev `IIncentives.accrue`'s kind for a delivery.
    uint8 private constant ACCRUE_DELIVERY = 1;

    // ── storage ──

    /// @dev Those offered under a grant are numbered from 1 on without a gap; so the last one is
    /// found, not noted.
    mapping(bytes32 deliveryId => Stored) private _deliveries;
    mapping(bytes32 grantId => bool) private _dutyMissed;
    mapping(bytes16 inst => mapping(uint32 hour => PackedLog)) private _logs;
    mapping(bytes16 inst => LogSpan) private _logSpans;
    mapping(bytes16 inst => BitMaps.BitMap) private _logMissed;

    constructor(address authority, address directory)
        Module(authority, directory, "DeliveryLedger")
    {}

    // ── an exchange ──

    /// @inheritdoc IDeliveryLedger
    function offer(
        bytes32 grantId,
        uint32 seq,
        bytes32 offerHash,
        uint64 receiptBy,
        uint24 keyWithin,
        uint24 ackWithin
    ) external {
        Windows memory w = Windows(receiptBy, keyWithin, ackWithin);
        _offer(msg.sender, grantId, seq, offerHash, w);
    }

    /// @inheritdoc IDeliveryLedger
    function offerBySig(
        bytes32 grantId,
        uint32 seq,
        bytes32 offerHash,
        uint64 receiptBy,
        uint24 keyWithin,
        uint24 ackWithin,
        Auth calldata auth
    ) external {
        Windows memory w = Windows(receiptBy, keyWithin, ackWithin);
        _offer(_verifyAct(auth, OFFER, _words(6)), grantId, seq, offerHash, w);
    }

    /// @inheritdoc IDeliveryLedger
    function postReceipt(Receipt calldata r) external {
        _receive(msg.sender, r);
    }

    /// @inheritdoc IDeliveryLedger
    function postReceiptBySig(Receipt calldata r, address signer, bytes calldata signature)
        external
    {
        _verifyDocument(_hashTypedDataV4(keccak256(abi.encode(RECEIPT, r))), signer, signature);
        _receive(signer, r);
    }

    /// @inheritdoc IDeliveryLedger
    function releaseKey(bytes32 deliveryId, bytes calldata sealedKey) external {
        _release(msg.sender, deliveryId, sealedKey);
    }

    /// @inheritdoc IDeliveryLedger
    function releaseKeyBySig(bytes32 deliveryId, bytes calldata sealedKey, Auth calldata auth)
        external
    {
        bytes memory parameters = abi.encode(deliveryId, keccak256(sealedKey));
        _release(_verifyAct(auth, RELEASE_KEY, parameters), deliveryId, sealedKey);
    }

    /// @inheritdoc IDeliveryLedger
    function acknowledge(Acknowledgement calldata a) external {
        _acknowledge(msg.sender, a);
    }

    /// @inheritdoc IDeliveryLedger
    function acknowledgeBySig(Acknowledgement calldata a, address signer, bytes calldata signature)
        external
    {
        _verifyDocument(
            _hashTypedDataV4(keccak256(abi.encode(ACKNOWLEDGEMENT, a))), signer, signature
        );
        _acknowledge(signer, a);
    }

    // ── faults ──

    /// @inheritdoc IDeliveryLedger
    function expire(bytes32 deliveryId) external {
        Stored storage d = _delivery(deliveryId);
        State state = d.state;
        uint64 deadline = _deadlineOf(deliveryId, d);
        _requirePast(deadline);

        if (state == State.Offered) {
            _fault(d, Codes.RECEIPT_LAPSED, Codes.SIDE_REQUESTER, State.Lapsed);
        } else if (state == State.Received) {
            _fault(d, Codes.KEY_OVERDUE, Codes.SIDE_OWNER, State.KeyOverdue);
        } else {
            _fault(d, Codes.ACK_OVERDUE, Codes.SIDE_REQUESTER, State.AutoAccepted);
        }
        emit DeliveryExpired(deliveryId, d.state, d.faultSide, d.faultCode);

        ICredibility credibility = _credibility();
        if (state == State.Received) {
            credibility.record(d.sender, d.recipient, Score.RULE_FAULT, deliveryId);
        } else if (state == State.KeyReleased) {
            credibility.record(d.recipient, d.sender, Score.LATE, deliveryId);
            credibility.record(d.sender, d.recipient, Score.ACCEPTED, deliveryId);
        }
    }

    /// @inheritdoc IDeliveryLedger
    function expireDuty(bytes32 grantId) external {
        IAccessRegistry.Grant memory g = _access().grant(grantId);
        if (g.status == IAccessRegistry.Status.None) revert Unknown(grantId);
        if (_dutyMissed[grantId]) revert Exists(grantId);
        uint64 dutyBy = _dutyOf(grantId, g);
        _requirePast(dutyBy);
        if (_isOffered(grantId, 1)) revert SeqMismatch(lastSeq(grantId), 0);
        _dutyMissed[grantId] = true;

        emit DutyMissed(grantId);
        _credibility().record(g.owner, g.requester, Score.RULE_FAULT, grantId);
    }

    /// @inheritdoc IDeliveryLedger
    function proveDoubleOffer(
        DeliveryOffer calldata first,
        address signer1,
        bytes calldata sig1,
        DeliveryOffer calldata second,
        address signer2,
        bytes calldata sig2
    ) external {
        _requireHash(second.grantId, first.grantId);
        if (first.seq != second.seq) revert SeqMismatch(second.seq, first.seq);
        if (_offerDigest(first) == _offerDigest(second)) revert SameOffer(_offerDigest(first));
        IAccessRegistry.Grant memory g = _access().grant(first.grantId);
        if (g.status == IAccessRegistry.Status.None) revert Unknown(first.grantId);
        _requireSenderSigned(g.owner, first, signer1, sig1);
        _requireSenderSigned(g.owner, second, signer2, sig2);

        bytes32 deliveryId = _idOf(first.grantId, first.seq);
        Stored storage d = _deliveries[deliveryId];
        if (d.state == State.None) (d.sender, d.recipient) = (g.owner, g.requester);
        _prove(deliveryId, d, Codes.DOUBLE_OFFER);
    }

    /// @inheritdoc IDeliveryLedger
    function proveBadLeaf(
        DeliveryOffer calldata o,
        DeliveryEntry calldata e,
        uint32 entryIndex,
        bytes32[] calldata entryProof,
        bytes32[] calldata leafProof
    ) external {
        bytes32 deliveryId = _idOf(o.grantId, o.seq);
        Stored storage d = _delivery(deliveryId);
        _requireHash(_offerDigest(o), d.offerHash);
        _requireEntry(o.ptRoot, e, entryIndex, entryProof);
        _requireHash(keccak256(abi.encodePacked(leafProof)), e.proofHash);
        IRecordRegistry records = IRecordRegistry(_module(Codes.RECORD_REGISTRY));
        if (records.verify(e.inst, e.batchSeq, e.leaf, e.index, leafProof)) revert LeafIsGood();
        _prove(deliveryId, d, Codes.BAD_LEAF);
    }

    // ── audit logs ──

    /// @inheritdoc IDeliveryLedger
    function commitLog(bytes16 inst, uint32 hour, bytes32 root, uint8 countLog2) external {
        _commitLog(msg.sender, inst, hour, root, countLog2);
    }

    /// @inheritdoc IDeliveryLedger
    function commitLogBySig(
        bytes16 inst,
        uint32 hour,
        bytes32 root,
        uint8 countLog2,
        Auth calldata auth
    ) external {
        _commitLog(_verifyAct(auth, COMMIT_LOG, _words(4)), inst, hour, root, countLog2);
    }

    /// @inheritdoc IDeliveryLedger
    function challengeLog(bytes16 inst, uint32 hour) external {
        uint32 first = _logSpans[inst].first;
        if (first == 0 || hour <= first) revert SeqMismatch(hour, uint64(first) + 1);
        bytes32 id = keccak256(abi.encode(Codes.LOG_MISSED, inst, hour));
        if (_logs[inst][hour].root != 0 || _logMissed[inst].get(hour)) revert Exists(id);
        uint64 end = (uint64(hour) + 1) * _hours(1);
        _requireChallengeable(end);
        IInstitutionRegistry institutions = _institutions();
        if (!institutions.isActiveAt(inst, end)) {
            revert NotActive(inst, uint8(institutions.statusAt(inst, end)));
        }
        _logMissed[inst].set(hour);

        emit LogMissed(inst, hour);
        _credibility().record(inst, 0, Score.LATE, id);
    }

    // ── views ──

    /// @inheritdoc IDeliveryLedger
    function delivery(bytes32 deliveryId) external view returns (Delivery memory) {
        Stored memory d = _deliveries[deliveryId];
        return Delivery({
            offerHash: d.offerHash,
            sender: d.sender,
            recipient: d.recipient,
            state: d.state,
            faultCode: d.faultCode,
            faultSide: d.faultSide,
            verdict: d.verdict,
            quality: d.quality,
            novelty: d.novelty,
            receiptBy: d.receiptBy,
            keyBy: d.keyBy,
            ackBy: d.ackBy,
            keyWithin: d.keyWithin,
            ackWithin: d.ackWithin
        });
    }

    /// @inheritdoc IDeliveryLedger
    function lastSeq(bytes32 grantId) public view returns (uint32 seq) {
        // Bit by bit from the highest: 32 looks, for readers.
        for (uint32 bit = 1 << 31; bit != 0; bit >>= 1) {
            if (_isOffered(grantId, seq | bit)) seq |= bit;
        }
    }

    /// @inheritdoc IDeliveryLedger
    function faultOf(bytes32 id) external view returns (uint8 faultCode, uint8 side) {
        if (_dutyMissed[id]) return (Codes.NO_OFFER, Codes.SIDE_OWNER);
        Stored storage d = _deliveries[id];
        return (d.faultCode, d.faultSide);
    }

    /// @inheritdoc IDeliveryLedger
    function partiesOf(bytes32 id) external view returns (bytes16 sender, bytes16 recipient) {
        Stored storage d = _deliveries[id];
        if (d.sender == 0) return _access().partiesOf(id);
        return (d.sender, d.recipient);
    }

    /// @inheritdoc IDeliveryLedger
    function logHead(bytes16 inst, uint32 hour) external view returns (LogHead memory) {
        PackedLog storage log = _logs[inst][hour];
        return LogHead(log.root, log.countLog2, log.committedAt);
    }

    /// @inheritdoc IDeliveryLedger
    function logRoot(bytes16 inst, uint32 hour) external view returns (bytes32) {
        return _logs[inst][hour].root;
    }

    /// @inheritdoc IDeliveryLedger
    function logSpan(bytes16 inst) external view returns (LogSpan memory) {
        return _logSpans[inst];
    }

    /// @inheritdoc IDeliveryLedger
    function isLogMissed(bytes16 inst, uint32 hour) external view returns (bool) {
        return _logMissed[inst].get(hour);
    }

    // ── acts ──

    function _offer(
        address signer,
        bytes32 grantId,
        uint32 seq,
        bytes32 offerHash,
        Windows memory w
    ) private {
        _requireWindows(w);
        IAccessRegistry access = _access();
        (bytes16 sender, bytes16 recipient) = access.partiesOf(grantId);
        if (sender == 0) revert Unknown(grantId);
        _requireActor(signer, sender, Roles.RELAYER);
        if (!access.liveGrant(grantId, _now())) revert GrantNotLive(grantId);
        _requireNext(grantId, seq);

        bytes32 deliveryId = _idOf(grantId, seq);
        Stored storage d = _deliveries[deliveryId];
        (d.offerHash, d.sender, d.recipient) = (offerHash, sender, recipient);
        (d.state, d.receiptBy) = (State.Offered, _packed(w.receiptBy));
        (d.keyWithin, d.ackWithin) = (w.keyWithin, w.ackWithin);

        emit DeliveryOffered(
            deliveryId, grantId, seq, offerHash, w.receiptBy, w.keyWithin, w.ackWithin
        );
    }

    function _receive(address signer, Receipt calldata r) private {
        Stored storage d = _delivery(r.deliveryId);
        _requireActor(signer, d.recipient, Roles.RELAYER);
        _requireState(r.deliveryId, d, State.Offered);
        _requireHash(r.offerHash, d.offerHash);
        _requireInTime(d.receiptBy);
        _enterReceived(r.deliveryId, d, r.ctRoot);
    }

    function _release(address signer, bytes32 deliveryId, bytes calldata sealedKey) private {
        Stored storage d = _delivery(deliveryId);
        _requireActor(signer, d.sender, Roles.RELAYER);
        _requireState(deliveryId, d, State.Received);
        _requireBetween(sealedKey.length, SEALED_KEY_MIN, SEALED_KEY_MAX);
        _requireInTime(d.keyBy);
        _enterKeyReleased(deliveryId, d, sealedKey);
    }

    function _acknowledge(address signer, Acknowledgement calldata a) private {
        Stored storage d = _delivery(a.deliveryId);
        _requireActor(signer, d.recipient, Roles.RELAYER | Roles.RESEARCHER);
        _requireInTime(_deadlineOf(a.deliveryId, d));
        _requireHash(a.offerHash, d.offerHash);
        _requireBetween(a.verdict, 0, Codes.VERDICT_MAX);
        _requireBetween(a.quality, 0, QUALITY_MAX);
        _requireBetween(a.novelty, 0, NOVELTY_MAX);

        if (d.state == State.Offered) _enterReceived(a.deliveryId, d, 0);
        if (d.state == State.Received) _enterKeyReleased(a.deliveryId, d, "");
        (d.verdict, d.quality, d.novelty) = (a.verdict, a.quality, a.novelty);
        d.state = a.verdict == Codes.VERDICT_OK ? State.Accepted : State.Disputed;
        emit DeliveryAcknowledged(a.deliveryId, a.verdict, a.quality, a.novelty);

        if (a.verdict != Codes.VERDICT_OK) return;
        _credibility().record(d.sender, d.recipient, Score.ACCEPTED, a.deliveryId);
        _incentives().accrue(d.sender, d.recipient, ACCRUE_DELIVERY, a.quality, a.novelty);
    }

    function _commitLog(address signer, bytes16 inst, uint32 hour, bytes32 root, uint8 countLog2)
        private
    {
        _requireActor(signer, inst, Roles.RELAYER);
        LogSpan storage span = _logSpans[inst];
        if (hour <= span.last) revert SeqMismatch(hour, uint64(span.last) + 1);
        uint64 present = _now() / _hours(1);
        if (hour > present) revert SeqMismatch(hour, present);
        _requireBetween(uint256(root), 1, type(uint256).max);
        _requireBetween(countLog2, LOG_COUNT_LOG2_MIN, LOG_COUNT_LOG2_MAX);

        if (span.first == 0) span.first = hour;
        span.last = hour;
        _logs[inst][hour] = PackedLog(root, countLog2, _packed(_now()));
        emit LogCommitted(inst, hour, root, countLog2, _now());
    }

    // ── state ──

    function _enterReceived(bytes32 deliveryId, Stored storage d, bytes32 ctRoot) private {
        d.state = State.Received;
        d.keyBy = _packed(_now() + d.keyWithin);
        emit DeliveryReceived(deliveryId, ctRoot, d.keyBy);
    }

    function _enterKeyReleased(bytes32 deliveryId, Stored storage d, bytes memory sealedKey)
        private
    {
        d.state = State.KeyReleased;
        d.ackBy = _packed(_now() + d.ackWithin);
        emit KeyReleased(deliveryId, sealedKey, d.ackBy);
    }

    /// @dev Ends a delivery by a missed deadline. A proven contradiction stays the fault named.
    function _fault(Stored storage d, uint8 faultCode, uint8 side, State state) private {
        d.state = state;
        if (!_isContradicted(d)) (d.faultCode, d.faultSide) = (faultCode, side);
    }

    /// @dev Names the sender of a delivery for a contradiction, once, over any missed deadline.
    function _prove(bytes32 deliveryId, Stored storage d, uint8 faultCode) private {
        if (_isContradicted(d)) revert Exists(deliveryId);
        (d.faultCode, d.faultSide) = (faultCode, Codes.SIDE_OWNER);

        emit FaultProven(deliveryId, faultCode, Codes.SIDE_OWNER);
        _credibility().record(d.sender, d.recipient, Score.RULE_FAULT, deliveryId);
    }

    function _isContradicted(Stored storage d) private view returns (bool) {
        return d.faultCode == Codes.DOUBLE_OFFER || d.faultCode == Codes.BAD_LEAF;
    }

    // ── checks ──

    function _delivery(bytes32 deliveryId) private view returns (Stored storage d) {
        d = _deliveries[deliveryId];
        if (d.state == State.None) revert Unknown(deliveryId);
    }

    function _requireState(bytes32 deliveryId, Stored storage d, State want) private view {
        if (d.state != want) revert WrongState(deliveryId, uint8(d.state), uint8(want));
    }

    /// @dev Checks that `seq` is the first free number of a grant.
    function _requireNext(bytes32 grantId, uint32 seq) private view {
        bool follows = seq == 1 || (seq > 1 && _isOffered(grantId, seq - 1));
        if (!follows || _isOffered(grantId, seq)) revert SeqMismatch(seq, lastSeq(grantId) + 1);
    }

    function _isOffered(bytes32 grantId, uint32 seq) private view returns (bool) {
        return _deliveries[_idOf(grantId, seq)].state != State.None;
    }

    function _requireWindows(Windows memory w) private view {
        _requireBetween(
            w.receiptBy,
            _now() + _hours(Periods.RECEIPT_MIN_HOURS),
            _now() + _days(Periods.RECEIPT_MAX_DAYS)
        );
        _requireBetween(
            w.keyWithin, _hours(Periods.KEY_RELEASE_MIN_HOURS), _days(Periods.KEY_RELEASE_MAX_DAYS)
        );
        _requireBetween(
            w.ackWithin, _hours(Periods.ACKNOWLEDGE_MIN_HOURS), _days(Periods.ACKNOWLEDGE_MAX_DAYS)
        );
    }

    /// @dev The entry stands at `index` under the offer's root. The depth is not on chain: leaves
    /// are hashed twice from preimages of 192 bytes, so that no inner node passes as an entry.
    function _requireEntry(
        bytes32 ptRoot,
        DeliveryEntry calldata e,
        uint32 index,
        bytes32[] calldata proof
    ) private pure {
        _requireBetween(proof.length, 0, ENTRY_DEPTH_MAX);
        bytes32 leaf = MerkleBatch.leafOf(abi.encode(DELIVERY_ENTRY, e));
        // At most 24, by the check above.
        if (!MerkleBatch.verify(ptRoot, uint8(proof.length), leaf, index, proof)) {
            revert BadProof(ptRoot, index);
        }
    }

    /// @dev The signature is the sender's, by a key that was its own when it says it offered.
    function _requireSenderSigned(
        bytes16 sender,
        DeliveryOffer calldata o,
        address signer,
        bytes calldata signature
    ) private view {
        _verifyDocument(_offerDigest(o), signer, signature);
        IKeyRegistry keys = _keys();
        bytes32 keyId = bytes32(uint256(uint160(signer)));
        bytes16 inst = _institutions().institutionOf(keys.key(keyId).subject);
        if (inst != sender || !keys.validAt(keyId, o.offeredAt)) revert BadSignature(signer);
    }

    /// @dev From 3 h to 30 d after the hour's end.
    function _requireChallengeable(uint64 end) private view {
        uint64 notBefore = end + _hours(Periods.LOG_GRACE_HOURS);
        if (_now() < notBefore) revert TooEarly(notBefore);
        _requireInTime(end + _days(Periods.CHALLENGE_DAYS));
    }

    /// @dev Deadline of the step that is due; a delivery that ended has none.
    function _deadlineOf(bytes32 deliveryId, Stored storage d) private view returns (uint64) {
        State state = d.state;
        if (state == State.Offered) return d.receiptBy;
        if (state == State.Received) return d.keyBy;
        if (state == State.KeyReleased) return d.ackBy;
        revert WrongState(deliveryId, uint8(state), uint8(State.KeyReleased));
    }

    /// @dev Last second of the duty to offer: `deliverWithin` after the grant began. A duty that
    /// the end of the grant came before is none.
    function _dutyOf(bytes32 grantId, IAccessRegistry.Grant memory g)
        private
        pure
        returns (uint64 dutyBy)
    {
        uint64 begin = g.grantedAt > g.validFrom ? g.grantedAt : g.validFrom;
        dutyBy = begin + g.deliverWithin;
        bool ended = g.status > IAccessRegistry.Status.Suspended && g.changedAt <= dutyBy;
        if (g.grantedAt == 0 || g.deliverWithin == 0 || ended) {
            revert WrongState(grantId, uint8(g.status), uint8(IAccessRegistry.Status.Granted));
        }
    }

    function _idOf(bytes32 grantId, uint32 seq) private pure returns (bytes32) {
        return keccak256(abi.encode(grantId, seq));
    }

    function _offerDigest(DeliveryOffer calldata o) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(DELIVERY_OFFER, o)));
    }

    // ── other modules ──

    function _access() private view returns (IAccessRegistry) {
        return IAccessRegistry(_module(Codes.ACCESS_REGISTRY));
    }
}
