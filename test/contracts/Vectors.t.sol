// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {GrantRules} from "../../contracts/libraries/GrantRules.sol";
import {MerkleBatch} from "../../contracts/libraries/MerkleBatch.sol";
import {Test} from "forge-std/Test.sol";

/// @title The known answers that Rust shares: `test/vectors/contracts`.
contract VectorsTest is Test {
    string private constant FOLDER = "test/vectors/contracts/";

    // ── leaf.json ──

    function test_TheTypeHashIsThatOfTheTypeString() public view {
        string memory json = _read("leaf.json");
        assertEq(
            keccak256(bytes(vm.parseJsonString(json, ".type"))),
            vm.parseJsonBytes32(json, ".typehash")
        );
    }

    function test_ContentAndSummaryCommitments() public view {
        string memory json = _read("leaf.json");
        assertEq(_commit(json, ".content"), vm.parseJsonBytes32(json, ".content.commitment"));
        assertEq(_commit(json, ".summary"), vm.parseJsonBytes32(json, ".summary.commitment"));
    }

    function test_TheRecordLeaf() public view {
        string memory json = _read("leaf.json");
        bytes memory preimage = bytes.concat(
            abi.encode(
                vm.parseJsonBytes32(json, ".typehash"),
                uint16(vm.parseJsonUint(json, ".record.version")),
                bytes16(vm.parseJsonBytes(json, ".record.handle")),
                bytes16(vm.parseJsonBytes(json, ".record.prevHandle")),
                uint16(vm.parseJsonUint(json, ".record.kind")),
                uint16(vm.parseJsonUint(json, ".record.schema"))
            ),
            abi.encode(
                uint16(vm.parseJsonUint(json, ".record.format")),
                vm.parseJsonBytes32(json, ".content.commitment"),
                vm.parseJsonBytes32(json, ".summary.commitment"),
                uint32(vm.parseJsonUint(json, ".record.qualityLabel")),
                uint32(vm.parseJsonUint(json, ".record.consentEpoch")),
                vm.parseJsonBytes32(json, ".record.salt")
            )
        );
        assertEq(preimage.length, 384);
        assertEq(keccak256(preimage), vm.parseJsonBytes32(json, ".record.inner"));
        assertEq(MerkleBatch.leafOf(preimage), vm.parseJsonBytes32(json, ".record.leaf"));
    }

    function test_TheTreeAndItsProof() public view {
        string memory json = _read("leaf.json");
        bytes32[] memory leaves = vm.parseJsonBytes32Array(json, ".tree.leaves");
        bytes32[] memory proof = vm.parseJsonBytes32Array(json, ".tree.proof");
        bytes32 root = vm.parseJsonBytes32(json, ".tree.root");
        assertEq(proof[1], MerkleBatch.nodeOf(leaves[2], leaves[3]));
        assertEq(MerkleBatch.nodeOf(MerkleBatch.nodeOf(leaves[0], leaves[1]), proof[1]), root);

        assertTrue(this.verify(root, 2, leaves[0], 0, proof));
        uint256[] memory wrong = vm.parseJsonUintArray(json, ".tree.wrongIndices");
        assertEq(wrong.length, 4);
        for (uint256 i = 0; i < wrong.length; ++i) {
            assertFalse(this.verify(root, 2, leaves[0], wrong[i], proof));
        }
    }

    function test_NoNodeOrShorterOrLongerPathPassesAsALeaf() public view {
        string memory json = _read("leaf.json");
        bytes32[] memory leaves = vm.parseJsonBytes32Array(json, ".tree.leaves");
        bytes32[] memory proof = vm.parseJsonBytes32Array(json, ".tree.proof");
        bytes32 root = vm.parseJsonBytes32(json, ".tree.root");

        bytes32[] memory shorter = new bytes32[](1);
        shorter[0] = proof[1];
        bytes32 inner = MerkleBatch.nodeOf(leaves[0], leaves[1]);
        assertFalse(this.verify(root, 2, inner, 0, shorter));
        bytes32[] memory longer = new bytes32[](3);
        (longer[0], longer[1]) = (proof[0], proof[1]);
        assertFalse(this.verify(root, 2, leaves[0], 0, longer));
        assertFalse(this.verify(root, 2, root, 0, new bytes32[](0)));
        assertFalse(this.verify(0, 0, 0, 0, new bytes32[](0)));
    }

    function verify(
        bytes32 root,
        uint8 sizeLog2,
        bytes32 leaf,
        uint256 index,
        bytes32[] calldata proof
    ) external pure returns (bool) {
        return MerkleBatch.verify(root, sizeLog2, leaf, index, proof);
    }

    // ── typed_data.json ──

    function test_DomainRequestGrantAndDelivery() public view {
        string memory json = _read("typed_data.json");
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256(bytes(string.concat("msnet ", vm.parseJsonString(json, ".contract")))),
                keccak256("1"),
                vm.parseJsonUint(json, ".chainId"),
                vm.parseJsonAddress(json, ".verifyingContract")
            )
        );
        assertEq(domain, vm.parseJsonBytes32(json, ".domainSeparator"));

        bytes32 typeHash = keccak256(bytes(vm.parseJsonString(json, ".accessRequest.type")));
        bytes32 structHash = keccak256(abi.encode(typeHash, _request(json)));
        assertEq(structHash, vm.parseJsonBytes32(json, ".structHash"));
        bytes32 grantId = keccak256(abi.encodePacked(hex"1901", domain, structHash));
        assertEq(grantId, vm.parseJsonBytes32(json, ".grantId"));

        // Cast: the file holds a small number.
        uint32 seq = uint32(vm.parseJsonUint(json, ".seq"));
        bytes32 deliveryId = keccak256(abi.encode(grantId, seq));
        assertEq(deliveryId, vm.parseJsonBytes32(json, ".deliveryId"));
    }

    function test_TheTypeOfAnAct() public view {
        string memory json = _read("typed_data.json");
        assertEq(
            keccak256(bytes(vm.parseJsonString(json, ".act.type"))),
            vm.parseJsonBytes32(json, ".act.typehash")
        );
    }

    // ── duo.json ──

    function test_DataUseOntology() public view {
        string memory json = _read("duo.json");
        uint256 rows = 0;
        for (; vm.keyExistsJson(json, _row(rows, "")); ++rows) {
            // Casts: the file holds 32-bit numbers.
            uint32 offered = uint32(vm.parseJsonUint(json, _row(rows, ".dataset")));
            uint32 asked = uint32(vm.parseJsonUint(json, _row(rows, ".request")));
            assertEq(
                GrantRules.duoCovers(offered, asked),
                vm.parseJsonBool(json, _row(rows, ".covers")),
                vm.parseJsonString(json, _row(rows, ".why"))
            );
        }
        assertEq(rows, 13);
    }

    function testFuzz_CoveredMeansThatEveryModifierIsRepeated(
        uint256 offered,
        uint256 asked,
        uint32 offeredModifiers,
        uint32 askedModifiers
    ) public pure {
        uint32[6] memory permissions = [uint32(1), 2, 4, 8, 1 << 18, 1 << 19];
        offeredModifiers &= 0x0073FFF0;
        askedModifiers &= 0x0073FFF0;
        uint32 have = permissions[offered % 6];
        uint32 want = permissions[asked % 6];
        bool permitted = GrantRules.duoCovers(have, want);
        bool repeated = offeredModifiers & ~askedModifiers == 0;
        assertEq(
            GrantRules.duoCovers(have | offeredModifiers, want | askedModifiers),
            permitted && repeated
        );
        assertTrue(GrantRules.duoCovers(have | offeredModifiers, have | offeredModifiers));
    }

    function test_Purposes() public pure {
        uint256 count = 0;
        for (uint256 purpose = 0; purpose <= type(uint16).max; ++purpose) {
            // Cast: the loop ends at the type's largest value.
            if (GrantRules.isPurpose(uint16(purpose))) {
                assertTrue((1 <= purpose && purpose <= 12) || (16 <= purpose && purpose <= 20));
                ++count;
            }
        }
        assertEq(count, 17);
    }

    // ── helpers ──

    function _read(string memory file) private view returns (string memory) {
        return vm.readFile(string.concat(FOLDER, file));
    }

    function _row(uint256 i, string memory field) private pure returns (string memory) {
        return string.concat("$[", vm.toString(i), "]", field);
    }

    /// @dev `keccak256(keccak256(tag) ‖ nonce ‖ data)`.
    function _commit(string memory json, string memory path) private pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                keccak256(bytes(vm.parseJsonString(json, string.concat(path, ".tag")))),
                vm.parseJsonBytes32(json, string.concat(path, ".nonce")),
                vm.parseJsonString(json, string.concat(path, ".data"))
            )
        );
    }

    function _request(string memory json)
        private
        pure
        returns (IAccessRegistry.AccessRequest memory r)
    {
        r.requester = bytes16(vm.parseJsonBytes(json, ".accessRequest.requester"));
        r.owner = bytes16(vm.parseJsonBytes(json, ".accessRequest.owner"));
        r.dataset = bytes16(vm.parseJsonBytes(json, ".accessRequest.dataset"));
        r.purpose = uint16(vm.parseJsonUint(json, ".accessRequest.purpose"));
        r.duo = uint32(vm.parseJsonUint(json, ".accessRequest.duo"));
        r.mode = uint8(vm.parseJsonUint(json, ".accessRequest.mode"));
        r.validFrom = uint64(vm.parseJsonUint(json, ".accessRequest.validFrom"));
        r.validUntil = uint64(vm.parseJsonUint(json, ".accessRequest.validUntil"));
        r.answerBy = uint64(vm.parseJsonUint(json, ".accessRequest.answerBy"));
        r.deliverWithin = uint64(vm.parseJsonUint(json, ".accessRequest.deliverWithin"));
        r.scopeHash = vm.parseJsonBytes32(json, ".accessRequest.scopeHash");
        r.termsHash = vm.parseJsonBytes32(json, ".accessRequest.termsHash");
        r.renews = vm.parseJsonBytes32(json, ".accessRequest.renews");
        r.salt = vm.parseJsonBytes32(json, ".accessRequest.salt");
    }
}
