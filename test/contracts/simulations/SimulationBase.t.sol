// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {console} from "forge-std/console.sol";

import {IInstitutionRegistry} from "../../../contracts/interfaces/IInstitutionRegistry.sol";
import {Codes} from "../../../contracts/libraries/Codes.sol";
import {Roles} from "../../../contracts/libraries/Roles.sol";
import {AccessBase} from "../AccessBase.t.sol";

/// @title Years of trading in a minute, on the real contracts.
/// @notice A simulation plays the part of the modules that report to Credibility and Incentives,
/// with a seed (`MSNET_SEED`, 1 unless given). It prints a small table and writes the same numbers
/// to
/// `target/forge/simulations/<name>.csv`, from which `contracts/simulations/plot` draws.
abstract contract SimulationBase is AccessBase {
    uint256 internal constant WEEK = 7 days;
    uint256 internal constant EPOCH = 90 days;
    uint64 internal constant CREDIT = 1_000_000;

    uint256 private _seed;
    string private _path;

    function setUp() public virtual override {
        super.setUp();
        _seed = vm.envOr("MSNET_SEED", uint256(1));
        _take(Roles.SCORERS_ROLE);
        _take(Roles.ACCRUERS_ROLE);
        _take(Roles.CONSUMERS_ROLE);
        vm.warp((_now() / EPOCH + 1) * EPOCH);
    }

    // ── chance ──

    /// @dev A number below `bound`, the same for the same seed.
    function _random(uint256 bound_) internal returns (uint256) {
        _seed = uint256(keccak256(abi.encode(_seed)));
        return _seed % bound_;
    }

    // ── actors ──

    function _actor(string memory name, uint256 i) internal pure returns (bytes16) {
        return bytes16(keccak256(abi.encode(name, i)));
    }

    /// @dev Makes an accredited institution of `group` known.
    function _known(bytes16 id, uint32 group) internal {
        vm.mockCall(
            address(institutions),
            abi.encodeCall(institutions.standing, (id)),
            abi.encode(Codes.PROVIDER, TIER, group, IInstitutionRegistry.Status.Active)
        );
    }

    /// @dev `taker` accepts a delivery of `sharer`, as DeliveryLedger reports it.
    function _delivery(bytes16 sharer, bytes16 taker, uint8 quality, uint8 novelty) internal {
        credibility.record(sharer, taker, 1, 0);
        incentives.accrue(sharer, taker, 1, quality, novelty);
    }

    function _lcbBps(bytes16 id) internal view returns (uint256 lcbBps) {
        (,,, lcbBps,) = credibility.score(id, _now());
    }

    /// @dev Requests that an institution gets through, of those it tries.
    function _requests(bytes16 id, uint256 tries) internal returns (uint256 granted) {
        for (uint256 i = 0; i < tries; ++i) {
            try incentives.consume(id) {
                ++granted;
            } catch {
                return granted;
            }
        }
    }

    // ── output ──

    function _open(string memory name, string memory header) internal {
        vm.createDir("target/forge/simulations", true);
        _path = string.concat("target/forge/simulations/", name, ".csv");
        vm.writeFile(_path, string.concat(header, "\n"));
        console.log(header);
    }

    function _write(uint256[] memory numbers) internal {
        string memory line = vm.toString(numbers[0]);
        for (uint256 i = 1; i < numbers.length; ++i) {
            line = string.concat(line, ",", vm.toString(numbers[i]));
        }
        vm.writeLine(_path, line);
        console.log(line);
    }
}
