// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Base} from "./Base.t.sol";

/// @notice Every `…BySig` of every module takes exactly the signature that its ABI says, made
/// over
/// this chain and this contract, and no other.
/// @dev The ABI's own words give the EIP-712 type: for an act, the function's name with a capital,
/// its parameters in order, then nonce and deadline; for a document, its struct. All values are
/// zero, so that a call whose signature is good is refused for another reason, later.
contract SignaturesTest is Base {
    /// @dev Tested each by itself: acts that look at an argument before the signature; documents
    /// with texts, or with more beside them.
    string private constant OWN_TESTS =
        " offerBySig rotateKeyBySig publishBySig reviseBySig submitApplicationBySig openHubBySig orderBySig proposeBySig ";

    struct Call {
        address target;
        string module;
        string name;
        string typeText;
        /// @dev Values as EIP-712 encodes them, and as the ABI does without the signature's own.
        bytes values;
        bytes arguments;
        string signature;
        bool isDocument;
    }

    function test_EverySignedCallBindsItsTypeChainAndContract() public {
        uint256 count = 0;
        bytes32[] memory names = _modules();
        for (uint256 i = 0; i < names.length; ++i) {
            count += _module(_text(names[i]), directory.addressOf(names[i]));
        }
        assertGt(count, 60, "signed calls in all");
    }

    function _module(string memory module, address target) private returns (uint256 count) {
        string memory json = vm.readFile(string.concat("contracts/abi/", module, ".json"));
        for (uint256 i = 0; vm.keyExistsJson(json, _at(i, "")); ++i) {
            if (!vm.keyExistsJson(json, _at(i, ".name"))) continue;
            string memory name = vm.parseJsonString(json, _at(i, ".name"));
            if (vm.indexOf(name, "BySig") == type(uint256).max) continue;
            if (vm.indexOf(OWN_TESTS, string.concat(" ", name, " ")) != type(uint256).max) {
                continue;
            }
            ++count;
            _check(_read(json, i, Call(target, module, name, "", "", "", "", false)));
        }
    }

    function _at(uint256 i, string memory rest) private pure returns (string memory) {
        return string.concat(".abi[", vm.toString(i), "]", rest);
    }

    // ── what the ABI says ──

    function _read(string memory json, uint256 i, Call memory c)
        private
        view
        returns (Call memory)
    {
        string memory first = vm.parseJsonString(json, _at(i, ".inputs[0].type"));
        c.isDocument = keccak256(bytes(first)) == keccak256("tuple");
        if (c.isDocument) _readDocument(json, i, c);
        else _readAct(json, i, c);
        return c;
    }

    /// @dev `fBySig(doc, signer, signature)`.
    function _readDocument(string memory json, uint256 i, Call memory c) private view {
        string memory path = _at(i, ".inputs[0]");
        string memory internalType = vm.parseJsonString(json, string.concat(path, ".internalType"));
        string memory fields;
        string memory types;
        for (uint256 j = 0;; ++j) {
            string memory field = string.concat(path, ".components[", vm.toString(j), "]");
            if (!vm.keyExistsJson(json, field)) break;
            string memory kind = vm.parseJsonString(json, string.concat(field, ".type"));
            string memory comma = j == 0 ? "" : ",";
            fields = string.concat(
                fields, comma, kind, " ", vm.parseJsonString(json, string.concat(field, ".name"))
            );
            types = string.concat(types, comma, kind);
            c.values = bytes.concat(c.values, bytes32(0));
        }
        // "struct IModule.Name"
        c.typeText = string.concat(vm.split(internalType, ".")[1], "(", fields, ")");
        c.signature = string.concat("(", types, ")");
    }

    function _readAct(string memory json, uint256 i, Call memory c) private view {
        string memory fields;
        string memory types;
        for (uint256 j = 0;; ++j) {
            string memory input = _at(i, string.concat(".inputs[", vm.toString(j), "]"));
            string memory kind = vm.parseJsonString(json, string.concat(input, ".type"));
            if (keccak256(bytes(kind)) == keccak256("tuple")) break;
            string memory name = vm.parseJsonString(json, string.concat(input, ".name"));
            fields = string.concat(fields, kind, " ", name, ",");
            types = string.concat(types, kind, ",");
            bool dynamic = _isDynamic(kind);
            c.values = bytes.concat(c.values, dynamic ? keccak256("") : bytes32(0));
            // A dynamic value is empty: its offset leads to the word 0 behind the signature.
            c.arguments =
                bytes.concat(c.arguments, dynamic ? bytes32(type(uint256).max) : bytes32(0));
        }
        bytes memory act = bytes(vm.split(c.name, "BySig")[0]);
        act[0] = bytes1(uint8(act[0]) - 32);
        c.typeText = string.concat(string(act), "(", fields, "uint256 nonce,uint64 deadline)");
        c.signature = string.concat(types, "(address,uint256,uint64,bytes)");
    }

    function _isDynamic(string memory kind) private pure returns (bool) {
        bool text = keccak256(bytes(kind)) == keccak256("bytes")
            || keccak256(bytes(kind)) == keccak256("string");
        return text || vm.indexOf(kind, "[") != type(uint256).max;
    }

    // ── signed rightly and wrongly ──

    function _check(Call memory c) private {
        string memory what = string.concat(c.module, ".", c.name);
        bytes32 home = _structHash(c);
        assertFalse(_isBad(c, _signAt(c.target, c.module, home)), string.concat(what, " refused"));
        assertTrue(_isBad(c, _signAt(relayer, c.module, home)), string.concat(what, " elsewhere"));
        assertTrue(_isBad(c, _signAt(c.target, "Other", home)), string.concat(what, " renamed"));
        bytes32 other = keccak256(abi.encode(home));
        assertTrue(_isBad(c, _signAt(c.target, c.module, other)), string.concat(what, " changed"));
        uint256 chain = block.chainid;
        vm.chainId(chain + 1);
        bytes memory foreign = _signAt(c.target, c.module, home);
        vm.chainId(chain);
        assertTrue(_isBad(c, foreign), string.concat(what, " on another chain"));
    }

    function _structHash(Call memory c) private view returns (bytes32) {
        bytes memory values = c.values;
        if (!c.isDocument) values = bytes.concat(values, abi.encode(uint256(0), _now() + DAY));
        return keccak256(bytes.concat(keccak256(bytes(c.typeText)), values));
    }

    function _signAt(address target, string memory module, bytes32 structHash)
        private
        view
        returns (bytes memory)
    {
        return _sign(north, _digest(target, module, structHash));
    }

    /// @dev Whether the call with this signature of the north is refused as badly signed.
    function _isBad(Call memory c, bytes memory signature) private returns (bool) {
        bytes memory data = c.isDocument ? _documentCall(c, signature) : _actCall(c, signature);
        (bool done, bytes memory answer) = c.target.call(data);
        assertFalse(done, "zeros are never good");
        bytes memory bad = abi.encodeWithSelector(IErrors.BadSignature.selector, north.addr);
        return keccak256(answer) == keccak256(bad);
    }

    function _actCall(Call memory c, bytes memory signature) private view returns (bytes memory) {
        bytes4 selector = bytes4(keccak256(abi.encodePacked(c.name, "(", c.signature, ")")));
        bytes memory tail = abi.encode(IModule.Auth(north.addr, 0, _now() + DAY, signature));
        // `abi.encode` of one dynamic struct begins with its offset, which is the head's length.
        uint256 head = c.arguments.length + 32;
        bytes memory auth = new bytes(tail.length - 32);
        for (uint256 i = 0; i < auth.length; ++i) {
            auth[i] = tail[i + 32];
        }
        return bytes.concat(
            selector, _pointed(c.arguments, head + auth.length), abi.encode(head), auth, bytes32(0)
        );
    }

    /// @dev Offsets of empty dynamic values, all to the same word 0.
    function _pointed(bytes memory arguments, uint256 end) private pure returns (bytes memory) {
        for (uint256 i = 0; i < arguments.length; i += 32) {
            if (arguments[i] == 0) continue;
            for (uint256 j = 0; j < 32; ++j) {
                arguments[i + j] = bytes32(end)[j];
            }
        }
        return arguments;
    }

    /// @dev `fBySig(doc, signer, signature)` with a document of static fields, all zero.
    function _documentCall(Call memory c, bytes memory signature)
        private
        view
        returns (bytes memory)
    {
        string memory types = string.concat("(", c.signature, ",address,bytes)");
        bytes4 selector = bytes4(keccak256(abi.encodePacked(c.name, types)));
        // The signature's offset counts from the document on; `abi.encode` writes 32 there.
        bytes memory encoded = abi.encode(signature);
        bytes memory tail = new bytes(encoded.length - 32);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = encoded[i + 32];
        }
        uint256 offset = c.values.length + 64;
        return bytes.concat(selector, c.values, abi.encode(north.addr, offset), tail);
    }
}
