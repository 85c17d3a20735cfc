// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {IRecordRegistry} from "../../contracts/interfaces/IRecordRegistry.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {MerkleBatch} from "../../contracts/libraries/MerkleBatch.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Base} from "./Base.t.sol";
import {INonces} from "./Views.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Vm} from "forge-std/Vm.sol";

contract RecordRegistryTest is Base {
    string private constant ANCHOR =
        "Anchor(bytes16 inst,uint64 seq,bytes32 prevRoot,bytes32 root,uint8 sizeLog2,uint16 schema,uint256 nonce,uint64 deadline)";
    string private constant WITHDRAW =
        "Withdraw(bytes16 inst,uint64 seq,uint32 index,bytes32 leaf,uint8 reasonCode,bytes32[] proof,uint256 nonce,uint64 deadline)";

    bytes32 private constant ROOT = keccak256("root");

    /// @dev Nodes of a tree of 16 leaves: level 0 are the leaves.
    bytes32[][] private _tree;

    function setUp() public override {
        super.setUp();
        bytes32[] memory level = new bytes32[](16);
        for (uint256 i = 0; i < 16; ++i) {
            level[i] = MerkleBatch.leafOf(abi.encode("record", i, "salt"));
        }
        _tree.push(level);
        while (level.length > 1) {
            bytes32[] memory next = new bytes32[](level.length / 2);
            for (uint256 i = 0; i < next.length; ++i) {
                next[i] = MerkleBatch.nodeOf(level[2 * i], level[2 * i + 1]);
            }
            _tree.push(next);
            level = next;
        }
    }

    function _proof(uint256 index) private view returns (bytes32[] memory proof) {
        proof = new bytes32[](4);
        for (uint256 height = 0; height < 4; ++height) {
            proof[height] = _tree[height][(index >> height) ^ 1];
        }
    }

    function _anchor(uint64 seq, bytes32 prevRoot, bytes32 root) private {
        vm.prank(north.addr);
        records.anchor(NORTH, seq, prevRoot, root, 4, 1);
    }

    function _anchorTree() private {
        _anchor(1, 0, _tree[4][0]);
    }

    // ── anchor ──

    function test_AnchorMovesTheHeadAndTellsAll() public {
        vm.expectEmit(address(records));
        emit IRecordRegistry.BatchAnchored(NORTH, 1, ROOT, 0, 4, 1, START);
        _anchor(1, 0, ROOT);

        IRecordRegistry.Batch memory b = records.batch(NORTH, 1);
        assertEq(b.root, ROOT);
        assertEq(b.sizeLog2, 4);
        assertEq(b.schema, 1);
        assertEq(b.anchoredAt, START);
        IRecordRegistry.Head memory head = records.head(NORTH);
        assertEq(head.seq, 1);
        assertEq(head.root, ROOT);
        assertEq(head.anchoredAt, START);
        assertEq(records.head(SOUTH).seq, 0);
    }

    function test_ARelayerCredentialMayAnchorAndNobodyElse() public {
        (, Vm.Wallet memory relay) = _staff(north, NORTH, "relay", Roles.RELAYER);
        (, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.ALL & ~Roles.RELAYER);
        vm.prank(relay.addr);
        records.anchor(NORTH, 1, 0, ROOT, 4, 1);

        address[3] memory others = [clerk.addr, south.addr, stranger];
        for (uint256 i = 0; i < others.length; ++i) {
            _expect(_notParty(NORTH, others[i]));
            vm.prank(others[i]);
            records.anchor(NORTH, 2, ROOT, ROOT, 4, 1);
        }
    }

    function test_AnchorRefusesAnotherSequence() public {
        _anchor(1, 0, ROOT);
        uint64[3] memory wrong = [uint64(0), 1, 3];
        for (uint256 i = 0; i < wrong.length; ++i) {
            _expect(abi.encodeWithSelector(IErrors.SeqMismatch.selector, wrong[i], 2));
            _anchor(wrong[i], ROOT, ROOT);
        }
    }

    function test_AnchorRefusesAnotherPast() public {
        _expect(abi.encodeWithSelector(IErrors.HashMismatch.selector, ROOT, bytes32(0)));
        _anchor(1, ROOT, ROOT);
        _anchor(1, 0, ROOT);
        _expect(abi.encodeWithSelector(IErrors.HashMismatch.selector, bytes32(0), ROOT));
        _anchor(2, 0, ROOT);
    }

    function test_AnchorRefusesNoRootAndSizesOutside16To65536() public {
        _expect(_outOfBounds(0, 1, type(uint256).max));
        _anchor(1, 0, 0);
        uint8[3] memory wrong = [uint8(0), 3, 17];
        for (uint256 i = 0; i < wrong.length; ++i) {
            _expect(_outOfBounds(wrong[i], 4, 16));
            vm.prank(north.addr);
            records.anchor(NORTH, 1, 0, ROOT, wrong[i], 1);
        }
    }

    function test_AnchorRefusesASuspendedInstitution() public {
        vm.prank(_at(Codes.SANCTIONS));
        institutions.setSuspended(NORTH, START + DAY, ROOT);
        _expect(abi.encodeWithSelector(IErrors.NotActive.selector, NORTH, 5));
        _anchor(1, 0, ROOT);

        vm.warp(START + DAY);
        _anchor(1, 0, ROOT);
    }

    function test_AStopRefusesAnchoringForADayButNotWithdrawal() public {
        _anchorTree();
        vm.prank(guardian);
        directory.stop(Codes.RECORD_REGISTRY);
        _expect(
            abi.encodeWithSelector(IErrors.Stopped.selector, Codes.RECORD_REGISTRY, START + DAY)
        );
        _anchor(2, _tree[4][0], ROOT);
        vm.prank(north.addr);
        records.withdraw(NORTH, 1, 0, _tree[0][0], 8, _proof(0));

        vm.warp(START + DAY);
        _anchor(2, _tree[4][0], ROOT);
    }

    function testFuzz_TheChainOfBatchesNeverBreaks(bytes32[8] memory roots) public {
        bytes32 prev = 0;
        for (uint64 i = 0; i < roots.length; ++i) {
            vm.assume(roots[i] != 0);
            _anchor(i + 1, prev, roots[i]);
            prev = roots[i];
        }
        for (uint64 i = 0; i < roots.length; ++i) {
            assertEq(records.batch(NORTH, i + 1).root, roots[i]);
        }
        assertEq(records.head(NORTH).seq, roots.length);
    }

    // ── relayed acts ──

    function _anchorConsent() private view returns (IModule.Auth memory) {
        return _consent(
            north,
            address(records),
            "RecordRegistry",
            ANCHOR,
            abi.encode(NORTH, uint64(1), bytes32(0), ROOT, uint8(4), uint16(1))
        );
    }

    function test_AnyoneMaySendWhatTheInstitutionSigned() public {
        IModule.Auth memory auth = _anchorConsent();
        vm.prank(relayer);
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
        assertEq(records.head(NORTH).seq, 1);
        assertEq(INonces(address(records)).nonces(north.addr), 1);
    }

    function test_ASignatureServesOnce() public {
        IModule.Auth memory auth = _anchorConsent();
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
        _expect(abi.encodeWithSelector(Nonces.InvalidAccountNonce.selector, north.addr, 1));
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
    }

    function test_ASignatureBindsEveryParameter() public {
        IModule.Auth memory auth = _anchorConsent();
        bytes memory bad = abi.encodeWithSelector(IErrors.BadSignature.selector, north.addr);
        _expect(bad);
        records.anchorBySig(SOUTH, 1, 0, ROOT, 4, 1, auth);
        _expect(bad);
        records.anchorBySig(NORTH, 2, 0, ROOT, 4, 1, auth);
        _expect(bad);
        records.anchorBySig(NORTH, 1, ROOT, ROOT, 4, 1, auth);
        _expect(bad);
        records.anchorBySig(NORTH, 1, 0, keccak256("another"), 4, 1, auth);
        _expect(bad);
        records.anchorBySig(NORTH, 1, 0, ROOT, 5, 1, auth);
        _expect(bad);
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 2, auth);
        auth.nonce = 1;
        _expect(bad);
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
        auth.nonce = 0;
        auth.deadline += 1;
        _expect(bad);
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
        auth.deadline -= 1;
        auth.signer = south.addr;
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, south.addr));
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
    }

    function test_ASignatureExpires() public {
        IModule.Auth memory auth = _anchorConsent();
        vm.warp(auth.deadline + 1);
        _expect(abi.encodeWithSelector(IErrors.IntentExpired.selector, auth.deadline));
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
        vm.warp(auth.deadline);
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
    }

    function test_ASignatureBindsChainAndContract() public {
        IModule.Auth memory auth = _anchorConsent();
        vm.chainId(block.chainid + 1);
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, north.addr));
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
    }

    function test_SessionsWithKeyedNoncesRunSideBySide() public {
        IModule.Auth memory auth;
        auth.signer = north.addr;
        auth.deadline = START + 600;
        auth.nonce = INonces(address(records)).nonces(north.addr, 7);
        assertEq(auth.nonce, uint256(7) << 64);
        auth.signature = _signStruct(
            north,
            address(records),
            "RecordRegistry",
            abi.encode(keccak256(bytes(ANCHOR)), NORTH, 1, 0, ROOT, 4, 1, auth.nonce, auth.deadline)
        );
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
        assertEq(INonces(address(records)).nonces(north.addr), 0);
        assertEq(INonces(address(records)).nonces(north.addr, 7), (uint256(7) << 64) + 1);
    }

    function test_AContractWalletSignsByERC1271() public {
        Wallet1271 wallet = new Wallet1271(north.addr);
        Vm.Wallet memory account = north;
        account.addr = address(wallet);
        bytes memory proof = _binding(NORTH, account, START, START + DAY);
        vm.prank(north.addr);
        keys.addKey(NORTH, Codes.ACCOUNT, abi.encodePacked(wallet), START, START + DAY, proof);

        IModule.Auth memory auth = _consent(
            account,
            address(records),
            "RecordRegistry",
            ANCHOR,
            abi.encode(NORTH, uint64(1), bytes32(0), ROOT, uint8(4), uint16(1))
        );
        records.anchorBySig(NORTH, 1, 0, ROOT, 4, 1, auth);
        assertEq(records.head(NORTH).seq, 1);

        auth.nonce = 1;
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, address(wallet)));
        records.anchorBySig(NORTH, 2, ROOT, ROOT, 4, 1, auth);
    }

    function test_AWithdrawalCanBeRelayedToo() public {
        _anchorTree();
        bytes32[] memory proof = _proof(3);
        IModule.Auth memory auth = _consent(
            north,
            address(records),
            "RecordRegistry",
            WITHDRAW,
            abi.encode(
                NORTH,
                uint64(1),
                uint32(3),
                _tree[0][3],
                uint8(3),
                keccak256(abi.encodePacked(proof))
            )
        );
        vm.prank(relayer);
        records.withdrawBySig(NORTH, 1, 3, _tree[0][3], 3, proof, auth);
        assertTrue(records.isWithdrawn(NORTH, 1, 3));
    }

    // ── verify ──

    function test_EveryLeafVerifiesAtItsOwnIndexAlone() public {
        _anchorTree();
        for (uint32 i = 0; i < 16; ++i) {
            for (uint32 j = 0; j < 17; ++j) {
                assertEq(records.verify(NORTH, 1, _tree[0][i], j, _proof(i)), i == j);
            }
        }
    }

    function test_NothingVerifiesInAnotherBatchOrInstitution() public {
        _anchorTree();
        _anchor(2, _tree[4][0], ROOT);
        assertFalse(records.verify(NORTH, 2, _tree[0][0], 0, _proof(0)));
        assertFalse(records.verify(NORTH, 3, _tree[0][0], 0, _proof(0)));
        assertFalse(records.verify(SOUTH, 1, _tree[0][0], 0, _proof(0)));
    }

    function test_InnerNodesAndOtherLengthsDoNotVerify() public {
        _anchorTree();
        bytes32[] memory shorter = new bytes32[](3);
        for (uint256 i = 0; i < 3; ++i) {
            shorter[i] = _proof(0)[i + 1];
        }
        assertFalse(records.verify(NORTH, 1, _tree[1][0], 0, shorter));
        bytes32[] memory longer = new bytes32[](5);
        assertFalse(records.verify(NORTH, 1, _tree[0][0], 0, longer));
    }

    function testFuzz_AForeignLeafDoesNotVerify(bytes32 leaf, uint32 index) public {
        _anchorTree();
        index = uint32(bound(index, 0, 15));
        vm.assume(leaf != _tree[0][index]);
        assertFalse(records.verify(NORTH, 1, leaf, index, _proof(index)));
    }

    // ── withdraw ──

    function test_WithdrawSetsOneBitForGood() public {
        _anchorTree();
        vm.expectEmit(address(records));
        emit IRecordRegistry.RecordWithdrawn(NORTH, 1, 5, 3);
        vm.prank(north.addr);
        records.withdraw(NORTH, 1, 5, _tree[0][5], 3, _proof(5));

        for (uint32 i = 0; i < 16; ++i) {
            assertEq(records.isWithdrawn(NORTH, 1, i), i == 5);
        }
        assertTrue(records.verify(NORTH, 1, _tree[0][5], 5, _proof(5)));

        _expect(abi.encodeWithSelector(IRecordRegistry.AlreadyWithdrawn.selector, NORTH, 1, 5));
        vm.prank(north.addr);
        records.withdraw(NORTH, 1, 5, _tree[0][5], 3, _proof(5));
    }

    function test_WithdrawAsksForAProofAReasonAndAParty() public {
        _anchorTree();
        _expect(abi.encodeWithSelector(IErrors.BadProof.selector, _tree[4][0], 6));
        vm.prank(north.addr);
        records.withdraw(NORTH, 1, 6, _tree[0][5], 3, _proof(5));

        uint8[2] memory reasons = [uint8(0), 9];
        for (uint256 i = 0; i < reasons.length; ++i) {
            _expect(_outOfBounds(reasons[i], 1, 8));
            vm.prank(north.addr);
            records.withdraw(NORTH, 1, 5, _tree[0][5], reasons[i], _proof(5));
        }
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        records.withdraw(NORTH, 1, 5, _tree[0][5], 3, _proof(5));
    }

    function test_AStewardMayWithdraw() public {
        _anchorTree();
        (, Vm.Wallet memory steward) = _staff(north, NORTH, "steward", Roles.STEWARD);
        vm.prank(steward.addr);
        records.withdraw(NORTH, 1, 5, _tree[0][5], 3, _proof(5));
        assertTrue(records.isWithdrawn(NORTH, 1, 5));
    }

    // ── multicall ──

    function test_SeveralSignedActsInOneTransaction() public {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(
            IRecordRegistry.anchorBySig, (NORTH, 1, 0, ROOT, 4, 1, _anchorConsent())
        );
        calls[1] = abi.encodeCall(IRecordRegistry.anchor, (NORTH, 2, ROOT, ROOT, 4, 1));
        vm.prank(north.addr);
        Multicall(address(records)).multicall(calls);
        assertEq(records.head(NORTH).seq, 2);
    }

    function test_AMulticallTakes64Calls() public {
        bytes[] memory calls = new bytes[](65);
        for (uint256 i = 0; i < 65; ++i) {
            calls[i] = abi.encodeCall(IRecordRegistry.head, (NORTH));
        }
        _expect(_outOfBounds(65, 0, 64));
        Multicall(address(records)).multicall(calls);
    }
}

/// @dev A contract wallet of one owner.
contract Wallet1271 is IERC1271 {
    address private immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        return ECDSA.recover(hash, signature) == OWNER ? this.isValidSignature.selector : bytes4(0);
    }
}
