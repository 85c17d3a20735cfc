// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IIncentives} from "../../../contracts/interfaces/IIncentives.sol";
import {Roles} from "../../../contracts/libraries/Roles.sol";
import {AccessBase} from "../AccessBase.t.sol";

/// @notice Invariants I1 and I2: whatever is accrued, allotted, locked, spent and asked for.
/// @dev The functions between the lines are what the fuzzer calls, in any order. Each changes what
/// one institution holds; that nobody else's credits move is checked after each of them.
contract CreditsInvariantTest is AccessBase {
    uint256 private constant HOLDERS = 4;
    uint256 private constant BUCKET = 40_000;
    uint64 private constant CREDIT = 1_000_000;

    bytes16[HOLDERS] private _holders;
    bytes32[] private _refs;
    mapping(bytes32 ref => uint256) private _holderOf;
    string private _broken;

    function setUp() public override {
        super.setUp();
        _take(Roles.ACCRUERS_ROLE);
        _take(Roles.CONSUMERS_ROLE);
        _take(Roles.ESCROW_ROLE);
        _take(Roles.GOVERNANCE_ROLE);
        _holders = [NORTH, SOUTH, INSPECTORATE, bytes16(keccak256("nobody yet"))];
        bytes4[] memory selectors = new bytes4[](7);
        selectors[0] = this.accrue.selector;
        selectors[1] = this.allot.selector;
        selectors[2] = this.ask.selector;
        selectors[3] = this.lock.selector;
        selectors[4] = this.release.selector;
        selectors[5] = this.settle.selector;
        selectors[6] = this.wait.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    /// @dev Runs an act of one holder and compares what the others hold before and after.
    modifier alone(uint256 holder) {
        uint256[HOLDERS] memory before = _held();
        _;
        uint256[HOLDERS] memory later = _held();
        for (uint256 i = 0; i < HOLDERS; ++i) {
            if (i != holder % HOLDERS && later[i] != before[i]) _broken = "credits moved";
        }
    }

    // ──────────────────────────────────────────────────────────────

    function accrue(uint256 holder, uint256 from, uint8 kind, uint8 quality, uint8 novelty)
        external
        alone(holder)
    {
        incentives.accrue(
            _holders[holder % HOLDERS],
            _holders[from % HOLDERS],
            1 + kind % 5,
            quality % 6,
            novelty % 11
        );
    }

    function allot(uint256 holder, uint64 amount) external alone(holder) {
        try incentives.allot(_holders[holder % HOLDERS], amount % (1100 * CREDIT)) {} catch {}
    }

    function ask(uint256 holder) external alone(holder) {
        bytes16 inst = _holders[holder % HOLDERS];
        (uint256 available, uint256 cost,) = incentives.quota(inst);
        uint64 balance = incentives.creditsOf(inst).balance;
        try incentives.consume(inst) {
            (uint256 left,,) = incentives.quota(inst);
            bool paid = incentives.creditsOf(inst).balance != balance;
            if (paid ? left != available : left + cost != available) {
                _broken = "a request is paid once, by units or by credits";
            }
        } catch {
            if (available >= cost || balance >= 5 * CREDIT) {
                _broken = "refused though it could pay";
            }
        }
    }

    function lock(uint256 holder, uint64 amount) external alone(holder) {
        bytes32 ref = keccak256(abi.encode(_refs.length));
        try incentives.lock(_holders[holder % HOLDERS], amount % (50 * CREDIT), ref) {
            _refs.push(ref);
            _holderOf[ref] = holder % HOLDERS;
        } catch {}
    }

    function release(uint256 pick, bool burnt) external alone(_ownerOf(pick)) {
        if (_refs.length == 0) return;
        bytes32 ref = _refs[pick % _refs.length];
        if (burnt) {
            try incentives.burn(ref) {} catch {}
        } else {
            try incentives.unlock(ref) {} catch {}
        }
    }

    function settle(uint256 holder) external alone(holder) {
        incentives.settle(_holders[holder % HOLDERS]);
    }

    function wait(uint32 secs) external {
        vm.warp(_now() + secs % (60 days));
    }

    // ──────────────────────────────────────────────────────────────

    function _ownerOf(uint256 pick) private view returns (uint256) {
        return _refs.length == 0 ? 0 : _holderOf[_refs[pick % _refs.length]];
    }

    function _held() private view returns (uint256[HOLDERS] memory held) {
        for (uint256 i = 0; i < HOLDERS; ++i) {
            IIncentives.Account memory a = incentives.creditsOf(_holders[i]);
            held[i] = a.balance + a.locked;
        }
    }

    function invariant_NobodysCreditsMove() public view {
        assertEq(_broken, "");
    }

    /// @dev After each run: what is held is what was given, and no bucket holds more than its fill.
    function afterInvariant() public {
        for (uint256 i = 0; i < HOLDERS; ++i) {
            (uint256 available, uint256 cost, uint64 retryAt) = incentives.quota(_holders[i]);
            assertLe(available, BUCKET, "a bucket never holds more than its capacity");
            assertLe(cost, 4000, "the floor of ten requests a week");
            assertEq(retryAt == _now(), available >= cost, "when it may ask");
            incentives.settle(_holders[i]);
        }
        uint256[HOLDERS] memory held = _held();
        IIncentives.Totals memory t = incentives.totals();
        assertEq(
            held[0] + held[1] + held[2] + held[3],
            t.accrued - t.spent - t.decayed,
            "what is held is what was given less what went"
        );
        assertEq(incentives.totalSupply(), held[0] + held[1] + held[2] + held[3]);
    }
}
