// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Vm} from "forge-std/Vm.sol";

import {Deployment} from "../../contracts/deploy/Deployment.sol";
import {IDatasetCatalog} from "../../contracts/interfaces/IDatasetCatalog.sol";
import {IDirectory} from "../../contracts/interfaces/IDirectory.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {IKeyRegistry} from "../../contracts/interfaces/IKeyRegistry.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {IRecordRegistry} from "../../contracts/interfaces/IRecordRegistry.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";

/// @title The deployed system with people in it.
/// @notice Three institutions of different groups are founded and active: north and south are
/// providers, inspectorate is a supervisor. `admin` holds ADMIN and GOVERNANCE, `guardian` may
/// stop, `stranger` is nobody, `relayer` sends what others signed.
abstract contract Base is Test, Deployment {
    uint64 internal constant DAY = 86_400;
    uint64 internal constant START = 1_800_000_000;
    uint8 internal constant TIER = 2;

    bytes16 internal constant NORTH = bytes16(keccak256("north"));
    bytes16 internal constant SOUTH = bytes16(keccak256("south"));
    bytes16 internal constant INSPECTORATE = bytes16(keccak256("inspectorate"));

    Vm.Wallet internal north;
    Vm.Wallet internal south;
    Vm.Wallet internal inspectorate;

    address internal admin = makeAddr("admin");
    address internal guardian = makeAddr("guardian");
    address internal stranger = makeAddr("stranger");
    address internal relayer = makeAddr("relayer");

    IInstitutionRegistry internal institutions;
    IKeyRegistry internal keys;
    IRecordRegistry internal records;
    IDatasetCatalog internal catalog;

    function setUp() public virtual {
        _warp(START);
        north = vm.createWallet("north");
        south = vm.createWallet("south");
        inspectorate = vm.createWallet("inspectorate");

        IInstitutionRegistry.Application[] memory founders =
            new IInstitutionRegistry.Application[](3);
        founders[0] = _application(NORTH, Codes.PROVIDER, 1, north.addr);
        founders[1] = _application(SOUTH, Codes.PROVIDER, 2, south.addr);
        founders[2] = _application(INSPECTORATE, Codes.SUPERVISOR, 3, inspectorate.addr);
        _deploy(address(this), Holders(admin, guardian), DAY, founders, TIER);

        institutions = IInstitutionRegistry(_at(Codes.INSTITUTION_REGISTRY));
        keys = IKeyRegistry(_at(Codes.KEY_REGISTRY));
        records = IRecordRegistry(_at(Codes.RECORD_REGISTRY));
        catalog = IDatasetCatalog(_at(Codes.DATASET_CATALOG));
    }

    /// @dev Tests run what was just compiled, not what was committed.
    function _codeOf(string memory name) internal view virtual override returns (bytes memory) {
        return vm.getCode(string.concat(name, ".sol:", name));
    }

    function _at(bytes32 name) internal view returns (address) {
        return directory.addressOf(name);
    }

    // ── people ──

    /// @dev An application in good form; the legal id follows from the id.
    function _application(bytes16 id, uint8 kind, uint32 group, address account)
        internal
        pure
        returns (IInstitutionRegistry.Application memory)
    {
        return IInstitutionRegistry.Application({
            id: id,
            kind: kind,
            group: group,
            legalHash: keccak256(abi.encode("register", id)),
            name: "Hospital",
            endpoint: "https://hospital.example",
            account: account,
            salt: keccak256(abi.encode("salt", id))
        });
    }

    /// @dev Founds nothing: another institution goes the whole way from application to active.
    function _join(bytes16 id, uint32 group, address account) internal {
        vm.prank(account);
        institutions.submitApplication(_application(id, Codes.PROVIDER, group, account));
        vm.prank(north.addr);
        institutions.sponsor(id, NORTH);
        vm.prank(south.addr);
        institutions.sponsor(id, SOUTH);
        vm.prank(admin);
        institutions.admit(id, TIER);
        _warp(institutions.institution(id).probationEnds);
        institutions.activate(id);
    }

    /// @dev A member of staff of `inst` with these roles and an account of their own.
    function _staff(Vm.Wallet memory inst, bytes16 instId, string memory name, uint16 roles)
        internal
        returns (bytes16 cred, Vm.Wallet memory wallet)
    {
        cred = bytes16(keccak256(bytes(name)));
        wallet = vm.createWallet(name);
        vm.prank(inst.addr);
        institutions.addPractitioner(instId, cred, roles, _now() + 30 * DAY);
        _bindAccount(inst.addr, cred, wallet);
    }

    /// @dev Binds an account to a subject, valid from now for a year, as `sender`.
    function _bindAccount(address sender, bytes16 subject, Vm.Wallet memory wallet) internal {
        uint64 until = _now() + 365 * DAY;
        bytes memory proof = _binding(subject, wallet, _now(), until);
        vm.prank(sender);
        keys.addKey(subject, Codes.ACCOUNT, abi.encodePacked(wallet.addr), _now(), until, proof);
    }

    /// @dev The new account's consent to speak for a subject.
    function _binding(bytes16 subject, Vm.Wallet memory wallet, uint64 from, uint64 until)
        internal
        view
        returns (bytes memory)
    {
        bytes32 typeHash = keccak256(
            "KeyBinding(bytes16 subject,bytes32 keyId,uint8 kind,uint64 validFrom,uint64 validUntil)"
        );
        bytes32 keyId = _keyId(wallet.addr);
        return _signStruct(
            wallet,
            address(keys),
            "KeyRegistry",
            abi.encode(typeHash, subject, keyId, Codes.ACCOUNT, from, until)
        );
    }

    function _keyId(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    // ── signatures ──

    /// @dev Consent to an act: its type string, and its parameters as EIP-712 encodes them.
    function _consent(
        Vm.Wallet memory wallet,
        address target,
        string memory name,
        string memory act,
        bytes memory parameters
    ) internal view returns (IModule.Auth memory auth) {
        auth.signer = wallet.addr;
        auth.deadline = _now() + 600;
        (, bytes memory answer) =
            target.staticcall(abi.encodeWithSignature("nonces(address)", wallet.addr));
        auth.nonce = abi.decode(answer, (uint256));
        bytes memory encoded =
            bytes.concat(keccak256(bytes(act)), parameters, abi.encode(auth.nonce, auth.deadline));
        auth.signature = _signStruct(wallet, target, name, encoded);
    }

    function _signStruct(
        Vm.Wallet memory wallet,
        address target,
        string memory name,
        bytes memory encoded
    ) internal view returns (bytes memory) {
        return _sign(wallet, _digest(target, name, keccak256(encoded)));
    }

    function _sign(Vm.Wallet memory wallet, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(wallet.privateKey, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev EIP-712 digest under the domain of a module, built from the specification alone.
    function _digest(address target, string memory name, bytes32 structHash)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encodePacked(hex"1901", _domain(target, name), structHash));
    }

    function _domain(address target, string memory name) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256(bytes(string.concat("msnet ", name))),
                keccak256("1"),
                block.chainid,
                target
            )
        );
    }

    // ── time and reverts ──

    /// @dev Lets time pass.
    function _warp(uint256 to) internal virtual {
        vm.warp(to);
    }

    function _now() internal view returns (uint64) {
        return uint64(vm.getBlockTimestamp());
    }

    /// @dev The next call must revert with exactly this error and these values.
    function _expect(bytes memory revertData) internal {
        vm.expectRevert(revertData);
    }

    function _notParty(bytes16 subject, address signer) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.NotParty.selector, subject, signer);
    }

    function _outOfBounds(uint256 value, uint256 min, uint256 max)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IErrors.OutOfBounds.selector, value, min, max);
    }

    function _wrongState(bytes32 id, uint8 have, uint8 want) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.WrongState.selector, id, have, want);
    }

    function _exists(bytes32 id) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.Exists.selector, id);
    }

    function _unknown(bytes32 id) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.Unknown.selector, id);
    }
}
