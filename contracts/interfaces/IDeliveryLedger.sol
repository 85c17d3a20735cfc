// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title DeliveryLedger: evidence of an exchange.
/// @notice Offer, receipt, key, acknowledgement: each step has a deadline, and past it the silent
/// side is named by rule, whoever calls. Keys appear only sealed to a key that is used once; no
/// size and no single access appears. Each hour an institution also commits to its audit log, which
/// holds every look, also those of the care lane.
interface IDeliveryLedger is IModule {
    /// @notice Offered → Received → KeyReleased → Accepted | Disputed | AutoAccepted.
    /// Offered → Lapsed. Received → KeyOverdue.
    enum State {
        None,
        Offered,
        Received,
        KeyReleased,
        Accepted,
        Disputed,
        AutoAccepted,
        Lapsed,
        KeyOverdue
    }

    /// @notice Document: what the sender is about to deliver, to the byte. It stays with the two
    /// edges; its digest goes on chain as `offerHash`.
    /// @param seq 1 for the first delivery of a grant, then 2, 3, …
    /// @param ctRoot Root over the chunks of ciphertext.
    /// @param ptRoot Root over `DeliveryEntry` leaves, one for each record.
    /// @param size Bytes of the container.
    /// @param chunkCount Chunks of ciphertext.
    /// @param keyCommit Commitment to the content key.
    /// @param recvKey X25519 public key of the recipient, used once.
    /// @param offeredAt Seconds since 1970.
    /// @param receiptBy As in `offer`; so are `keyWithin` and `ackWithin`.
    struct DeliveryOffer {
        bytes32 grantId;
        uint32 seq;
        bytes32 ctRoot;
        bytes32 ptRoot;
        uint64 size;
        uint32 chunkCount;
        bytes32 keyCommit;
        bytes32 recvKey;
        uint64 offeredAt;
        uint64 receiptBy;
        uint24 keyWithin;
        uint24 ackWithin;
        bytes32 salt;
    }

    /// @notice One delivered record under an offer's `ptRoot`.
    /// @param inst Institution that anchored it.
    /// @param batchSeq Batch in RecordRegistry.
    /// @param index Position in the batch.
    /// @param leaf Record leaf.
    /// @param proofHash keccak256 of the siblings that came with it, one after the other.
    struct DeliveryEntry {
        bytes16 inst;
        uint64 batchSeq;
        uint32 index;
        bytes32 leaf;
        bytes32 proofHash;
    }

    /// @notice Document: the recipient holds the ciphertext.
    /// @param ctRoot As the recipient computed it from what it holds.
    struct Receipt {
        bytes32 deliveryId;
        bytes32 offerHash;
        bytes32 ctRoot;
        uint64 receivedAt;
    }

    /// @notice Document: what the recipient found.
    /// @param verdict 0 in order, 1 ciphertext root, 2 key, 3 decryption, 4 leaf proof, 5 content
    /// hash, 6 withdrawn, 7 schema or format, 8 scope or count, 9 below label.
    /// @param quality 0…5.
    /// @param novelty 0…10: tenths of records never received before.
    struct Acknowledgement {
        bytes32 deliveryId;
        bytes32 offerHash;
        uint8 verdict;
        uint8 quality;
        uint8 novelty;
    }

    /// @notice A delivery. Its id is `keccak256(abi.encode(bytes32 grantId, uint32 seq))`, which
    /// `DeliveryOffered` opens. Times in seconds since 1970.
    /// @param state None for an offer that is known only from a proven contradiction.
    /// @param faultCode Fault established by rule (`libraries/Codes.sol`), or 0.
    /// @param faultSide 1 sender, 2 recipient, or 0.
    struct Delivery {
        bytes32 offerHash;
        bytes16 sender;
        bytes16 recipient;
        State state;
        uint8 faultCode;
        uint8 faultSide;
        uint8 verdict;
        uint8 quality;
        uint8 novelty;
        uint64 receiptBy;
        uint64 keyBy;
        uint64 ackBy;
        uint24 keyWithin;
        uint24 ackWithin;
    }

    /// @notice One committed hour of an audit log; root 0 if there is none.
    /// @param root Root of the tree (`libraries/MerkleBatch.sol`).
    /// @param countLog2 Its depth, 6…24.
    /// @param committedAt Seconds since 1970.
    struct LogHead {
        bytes32 root;
        uint8 countLog2;
        uint64 committedAt;
    }

    /// @notice First and last hour that an institution committed to; zeros if none.
    struct LogSpan {
        uint32 first;
        uint32 last;
    }

    event DeliveryOffered(
        bytes32 indexed deliveryId,
        bytes32 indexed grantId,
        uint32 seq,
        bytes32 offerHash,
        uint64 receiptBy,
        uint24 keyWithin,
        uint24 ackWithin
    );
    /// @param ctRoot 0 if the acknowledgement came without a receipt.
    event DeliveryReceived(bytes32 indexed deliveryId, bytes32 ctRoot, uint64 keyBy);
    /// @param sealedKey Empty if the key went from edge to edge.
    event KeyReleased(bytes32 indexed deliveryId, bytes sealedKey, uint64 ackBy);
    event DeliveryAcknowledged(
        bytes32 indexed deliveryId, uint8 verdict, uint8 quality, uint8 novelty
    );
    event DeliveryExpired(
        bytes32 indexed deliveryId, State state, uint8 faultSide, uint8 faultCode
    );
    event DutyMissed(bytes32 indexed grantId);
    event FaultProven(bytes32 indexed deliveryId, uint8 faultCode, uint8 faultSide);
    /// @notice The audit log of `inst` in `hour` is the one under `root`.
    event LogCommitted(
        bytes16 indexed inst, uint32 indexed hour, bytes32 root, uint8 countLog2, uint64 committedAt
    );
    /// @notice `inst` did not commit to `hour` in time.
    event LogMissed(bytes16 indexed inst, uint32 indexed hour);

    /// @notice Nothing may be delivered under this grant now.
    error GrantNotLive(bytes32 grantId);
    /// @notice The leaf proves against its owner's root: there is no fault.
    error LeafIsGood();
    /// @notice Both offers are the same document.
    error SameOffer(bytes32 offerHash);

    // ── an exchange ──

    /// @notice Offers a delivery. RELAYER of the grant's owner, while the grant is live.
    /// @param offerHash Digest of the `DeliveryOffer` sent to the recipient.
    /// @param receiptBy Last second for the receipt, 1 h to 30 d ahead.
    /// @param keyWithin Seconds from the receipt to the key, 1 h to 7 d.
    /// @param ackWithin Seconds from the key to the acknowledgement, 1 h to 30 d.
    function offer(
        bytes32 grantId,
        uint32 seq,
        bytes32 offerHash,
        uint64 receiptBy,
        uint24 keyWithin,
        uint24 ackWithin
    ) external;
    function offerBySig(
        bytes32 grantId,
        uint32 seq,
        bytes32 offerHash,
        uint64 receiptBy,
        uint24 keyWithin,
        uint24 ackWithin,
        Auth calldata auth
    ) external;

    /// @notice Confirms that the ciphertext arrived. RELAYER of the recipient; the sender may post
    /// a receipt that it holds, by `postReceiptBySig`.
    function postReceipt(Receipt calldata r) external;
    function postReceiptBySig(Receipt calldata r, address signer, bytes calldata signature) external;

    /// @notice Posts the content key, sealed to the offer's `recvKey`. RELAYER of the sender.
    /// @param sealedKey 80…112 bytes.
    function releaseKey(bytes32 deliveryId, bytes calldata sealedKey) external;
    function releaseKeyBySig(bytes32 deliveryId, bytes calldata sealedKey, Auth calldata auth)
        external;

    /// @notice Says what the delivery was worth. RELAYER or RESEARCHER of the recipient. Steps that
    /// went from edge to edge only are passed through with their events.
    function acknowledge(Acknowledgement calldata a) external;
    function acknowledgeBySig(Acknowledgement calldata a, address signer, bytes calldata signature)
        external;

    // ── faults ──

    /// @notice Names the silent side of a delivery whose deadline passed. Anyone.
    function expire(bytes32 deliveryId) external;

    /// @notice Names the owner of a grant who never offered within `deliverWithin`. Anyone.
    function expireDuty(bytes32 grantId) external;

    /// @notice Proves that a sender signed two offers for one (grant, seq). Anyone.
    function proveDoubleOffer(
        DeliveryOffer calldata first,
        address signer1,
        bytes calldata sig1,
        DeliveryOffer calldata second,
        address signer2,
        bytes calldata sig2
    ) external;

    /// @notice Proves that a delivered leaf contradicts its owner's own root. Anyone.
    /// @param o The offer, as its digest stands on chain.
    /// @param e The record's entry under `o.ptRoot`.
    /// @param entryIndex Position of the entry.
    /// @param entryProof Siblings from the entry to `o.ptRoot`, lowest first.
    /// @param leafProof Siblings that came with the record, lowest first.
    function proveBadLeaf(
        DeliveryOffer calldata o,
        DeliveryEntry calldata e,
        uint32 entryIndex,
        bytes32[] calldata entryProof,
        bytes32[] calldata leafProof
    ) external;

    // ── audit logs ──

    /// @notice Commits to an hour of the audit log. RELAYER of `inst`; also while stopped or
    /// suspended, since it is a duty.
    /// @param hour Number of the hour since 1970, `t / (DAY / 24)`: later than the last one, at
    /// most the present one.
    /// @param root Root over that hour's entries, not 0.
    /// @param countLog2 Depth, 6…24.
    function commitLog(bytes16 inst, uint32 hour, bytes32 root, uint8 countLog2) external;
    function commitLogBySig(
        bytes16 inst,
        uint32 hour,
        bytes32 root,
        uint8 countLog2,
        Auth calldata auth
    ) external;

    /// @notice Names an institution that left out an hour. Anyone, from 3 h to 30 d after the
    /// hour's end, once. The institution has committed to an earlier one, and was on probation or
    /// active when the hour ended.
    function challengeLog(bytes16 inst, uint32 hour) external;

    // ── views ──

    /// @notice A delivery; all zeros if unknown.
    function delivery(bytes32 deliveryId) external view returns (Delivery memory);

    /// @notice Number of the last delivery offered under a grant; 0 if none.
    function lastSeq(bytes32 grantId) external view returns (uint32);

    /// @notice Fault established about a delivery, or about a grant's duty to deliver: code and
    /// side, 1 sender or owner, 2 recipient; zeros if none.
    function faultOf(bytes32 id) external view returns (uint8 faultCode, uint8 side);

    /// @notice Sender and recipient of a delivery, or what AccessRegistry says about `id`; zeros if
    /// unknown.
    function partiesOf(bytes32 id) external view returns (bytes16 sender, bytes16 recipient);

    /// @notice An hour of an institution's audit log.
    function logHead(bytes16 inst, uint32 hour) external view returns (LogHead memory);

    /// @notice Root of an hour of an institution's audit log, or 0.
    function logRoot(bytes16 inst, uint32 hour) external view returns (bytes32);

    /// @notice First and last hour of an institution's audit log.
    function logSpan(bytes16 inst) external view returns (LogSpan memory);

    /// @notice Whether an institution was named for leaving out an hour.
    function isLogMissed(bytes16 inst, uint32 hour) external view returns (bool);
}
