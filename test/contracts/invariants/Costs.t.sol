// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IComputeJobs} from "../../../contracts/interfaces/IComputeJobs.sol";
import {IDeliveryLedger} from "../../../contracts/interfaces/IDeliveryLedger.sol";
import {Codes} from "../../../contracts/libraries/Codes.sol";
import {Roles} from "../../../contracts/libraries/Roles.sol";
import {ComputeBase} from "../ComputeBase.t.sol";

/// @notice Invariant G4: every act whose cost depends on a size stays below 1 000 000 gas at every
/// size that is allowed, whatever was there before. `Gas.t.sol` and `GasPeers.t.sol` hold the
/// documented worst sizes against the ceilings of contracts.md section 9.
/// @dev Each call is a transaction of its own, first use of every slot and calldata included.
/// Nothing here is refused for its size, so that the largest ones are reached.
/// forge-config: default.isolate = true
contract CostsInvariantTest is ComputeBase {
    uint256 private constant CEILING = 1_000_000;
    uint256 private constant GUARDIANS_MAX = 9;
    uint256 private constant KEYS_MAX = 16;

    bytes16 private constant EAST = bytes16(keccak256("east"));

    bytes16[] private _guardians;
    Vm.Wallet private _guardian;
    bytes32 private _grantId;
    uint32 private _offers;
    uint64 private _batches;
    uint256 private _names;
    uint256 private _dearest;
    string private _tooDear;

    function setUp() public override {
        super.setUp();
        _join(EAST, 4, makeAddr("east"));
        for (uint256 i = 0; i < GUARDIANS_MAX; ++i) {
            (bytes16 cred, Vm.Wallet memory wallet) = _newStaff();
            _guardians.push(cred);
            if (i == 0) _guardian = wallet;
        }
        _take(Roles.CASES_ROLE);
        _grantId = _granted();
        bytes4[] memory selectors = new bytes4[](8);
        selectors[0] = this.job.selector;
        selectors[1] = this.withdraw.selector;
        selectors[2] = this.badLeaf.selector;
        selectors[3] = this.holdKeys.selector;
        selectors[4] = this.recover.selector;
        selectors[5] = this.punish.selector;
        selectors[6] = this.describe.selector;
        selectors[7] = this.rest.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    /// @dev Notes what the last call cost.
    function _cost(string memory act) private {
        uint256 used = vm.lastCallGas().gasTotalUsed;
        if (used > _dearest) _dearest = used;
        if (used > CEILING) _tooDear = act;
    }

    // ──────────────────────────────────────────────────────────────

    /// @dev A job over 1 or 3 to 16 sites, taken as far as `stage`, then ended.
    function job(uint8 size, uint8 stage) external {
        uint8 sites = 1 + size % 16;
        if (sites == 2) sites = 16;
        bytes32 id = _orderFree(sites);
        if (id == 0 || stage % 4 == 0) return;
        vm.prank(inspectorate.addr);
        jobs.quote(id, 0);
        vm.prank(south.addr);
        jobs.fund(id);
        for (uint8 i = 0; i < sites; ++i) {
            if (!algorithms.isAllowed(pool[i], COUNT, _now())) {
                vm.prank(north.addr);
                algorithms.allow(pool[i], COUNT, _now() + 365 * DAY);
            }
            _permitSite(id, i);
            _cost("permit");
        }
        if (stage % 4 == 1) {
            vm.prank(south.addr);
            jobs.cancel(id);
            return _cost("cancel");
        }
        for (uint8 i = 0; i < sites; ++i) {
            _startSite(id, i);
        }
        if (stage % 4 == 2) {
            vm.prank(north.addr);
            jobs.fail(id, 0, 1);
            return _cost("fail");
        }
        for (uint8 i = 0; i < sites; ++i) {
            vm.prank(north.addr);
            jobs.commit(id, i, SEED, SEED, SEED, 1, true);
            _cost("commit");
        }
        jobs.release(id);
        _cost("release");
    }

    /// @dev An order for 1 mε at no price; 0 if the quota is used up.
    function _orderFree(uint8 sites) private returns (bytes32) {
        bytes16[] memory datasets = _sites(sites);
        IComputeJobs.JobOrder memory o = _orderOf(datasets);
        o.epsMilli = 1;
        vm.prank(south.addr);
        try jobs.order(o, datasets) returns (bytes32 id) {
            _cost("order");
            return id;
        } catch {
            return 0;
        }
    }

    /// @dev A record at any index of a batch of any size.
    function withdraw(uint8 depth, uint32 index) external {
        uint8 size = 4 + depth % 13;
        // Cast: an index within 2^16 leaves.
        index = uint32(index % (1 << size));
        bytes32 leaf = keccak256(abi.encode("leaf", ++_names));
        (bytes32 root, bytes32[] memory proof) = _path(leaf, index, size);
        bytes32 prev = records.head(NORTH).root;
        vm.prank(north.addr);
        records.anchor(NORTH, ++_batches, prev, root, size, 1);
        _cost("anchor");
        vm.prank(north.addr);
        records.withdraw(NORTH, _batches, index, leaf, 1, proof);
        _cost("withdraw");
    }

    /// @dev A contradiction proven through trees of any allowed depth.
    function badLeaf(uint8 entryDepth, uint8 leafDepth) external {
        bytes32[] memory leafProof = new bytes32[](leafDepth % 25);
        IDeliveryLedger.DeliveryEntry memory e = IDeliveryLedger.DeliveryEntry({
            inst: NORTH,
            batchSeq: 1,
            index: 7,
            leaf: keccak256("altered"),
            proofHash: keccak256(abi.encodePacked(leafProof))
        });
        (bytes32 ptRoot, bytes32[] memory entryProof) = _path(_entryLeaf(e), 0, entryDepth % 25);
        if (!access.liveGrant(_grantId, _now())) return;
        IDeliveryLedger.DeliveryOffer memory o = _document(ptRoot);
        _offer(_grantId, o.seq, _digestOf(o));
        _cost("offer");
        ledger.proveBadLeaf(o, e, 0, entryProof, leafProof);
        _cost("proveBadLeaf");
    }

    /// @dev Keys of all kinds up to the 16th, each with a long proof.
    function holdKeys(uint8 count, uint8 kind) external {
        (bytes16 cred,) = _newStaff();
        uint8 which = kind % 2 == 0 ? Codes.SEAL : Codes.SCP;
        for (uint256 i = 0; i < 1 + count % KEYS_MAX; ++i) {
            bytes memory key = abi.encode(keccak256(abi.encode("key", ++_names)));
            uint64 until = _now() + 365 * DAY;
            vm.prank(north.addr);
            keys.addKey(cred, which, key, _now(), until, new bytes(512));
            _cost("addKey");
        }
    }

    /// @dev Recovery of who holds up to 16 accounts, by up to 9 guardians.
    function recover(uint8 accounts, uint8 count) external {
        (bytes16 cred,) = _newStaff();
        for (uint256 i = 0; i < accounts % (KEYS_MAX - 1); ++i) {
            _bindAccount(north.addr, cred, _newWallet());
        }
        bytes16[] memory list = new bytes16[](1 + count % GUARDIANS_MAX);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = _guardians[i];
        }
        vm.prank(north.addr);
        keys.setGuardians(cred, list, 1);
        _cost("setGuardians");
        vm.warp(_now() + 7 * DAY);
        Vm.Wallet memory fresh = _newWallet();
        bytes memory proof = _binding(cred, fresh, 0, 0);
        vm.prank(_guardian.addr);
        try keys.startRecovery(cred, _guardians[0], fresh.addr, proof) {}
        catch {
            return;
        }
        _cost("startRecovery");
        vm.warp(_now() + 7 * DAY);
        keys.finishRecovery(cred);
        _cost("finishRecovery");
    }

    /// @dev Rulings against one party, until its list of sanctions is full and beyond.
    function punish(uint8 severity, uint8 times) external {
        for (uint256 i = 0; i < times % 12; ++i) {
            sanctions.impose(keccak256(abi.encode("case", ++_names)), EAST, 1 + severity % 2);
            _cost("impose");
        }
        sanctions.prune(EAST);
        _cost("prune");
    }

    function describe(uint8 name, uint16 endpoint) external {
        string memory text = string(new bytes(1 + name % 128));
        string memory place = string(new bytes(endpoint % 257));
        vm.prank(inspectorate.addr);
        institutions.describe(INSPECTORATE, text, place);
        _cost("describe");
    }

    /// @dev Time goes by, and the credits' decay is applied.
    function rest(uint32 secs) external {
        vm.warp(_now() + secs % (90 * DAY));
        incentives.settle(SOUTH);
        _cost("settle");
    }

    // ──────────────────────────────────────────────────────────────

    function invariant_NothingIsTooDear() public view {
        assertEq(_tooDear, "");
    }

    // ── people, trees and documents ──

    function _newStaff() private returns (bytes16 cred, Vm.Wallet memory wallet) {
        return _staff(north, NORTH, string.concat("staff ", vm.toString(++_names)), Roles.OFFICER);
    }

    function _newWallet() private returns (Vm.Wallet memory) {
        return vm.createWallet(string.concat("wallet ", vm.toString(++_names)));
    }

    /// @dev A tree of which only one path is known.
    function _path(bytes32 leaf, uint256 index, uint256 depth)
        private
        pure
        returns (bytes32 root, bytes32[] memory proof)
    {
        root = leaf;
        proof = new bytes32[](depth);
        for (uint256 i = 0; i < depth; ++i) {
            proof[i] = keccak256(abi.encode("sibling", i));
            bool left = index >> i & 1 == 0;
            root = keccak256(
                left ? abi.encodePacked(root, proof[i]) : abi.encodePacked(proof[i], root)
            );
        }
    }

    function _entryLeaf(IDeliveryLedger.DeliveryEntry memory e) private pure returns (bytes32) {
        bytes32 typeHash = keccak256(
            "DeliveryEntry(bytes16 inst,uint64 batchSeq,uint32 index,bytes32 leaf,bytes32 proofHash)"
        );
        return keccak256(abi.encodePacked(keccak256(abi.encode(typeHash, e))));
    }

    function _document(bytes32 ptRoot) private returns (IDeliveryLedger.DeliveryOffer memory o) {
        o.grantId = _grantId;
        o.seq = ++_offers;
        o.ptRoot = ptRoot;
        o.offeredAt = _now();
    }

    function _digestOf(IDeliveryLedger.DeliveryOffer memory o) private view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "DeliveryOffer(bytes32 grantId,uint32 seq,bytes32 ctRoot,bytes32 ptRoot,uint64 size,uint32 chunkCount,bytes32 keyCommit,bytes32 recvKey,uint64 offeredAt,uint64 receiptBy,uint24 keyWithin,uint24 ackWithin,bytes32 salt)"
        );
        return _digest(address(ledger), "DeliveryLedger", keccak256(abi.encode(typeHash, o)));
    }
}
