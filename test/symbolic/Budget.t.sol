// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPrivacyLedger} from "../../contracts/interfaces/IPrivacyLedger.sol";
import {Budget} from "../../contracts/libraries/Budget.sol";

/// @title P1, for all values: what is used stays within the cap it was compared with, and nothing
/// is lost or won between reserving and settling.
contract BudgetProof {
    IPrivacyLedger.Spent private _used;

    /// @dev A state that the ledger can be in: all sums are small numbers of mε.
    modifier from(uint64 spent, uint64 reserved) {
        if (spent > 1 << 60 || reserved > 1 << 60) return;
        _used = IPrivacyLedger.Spent(spent, reserved);
        _;
    }

    function check_ReserveStaysWithinTheCap(uint64 spent, uint64 reserved, uint64 cap, uint32 eps)
        external
        from(spent, reserved)
    {
        if (eps > Budget.left(cap, _used)) return;
        Budget.reserve(_used, eps);
        // An answer of nothing reserves nothing, also beyond a cap that was lowered.
        assert(eps == 0 || uint256(_used.spent) + _used.reserved <= cap);
        assert(_used.spent == spent && _used.reserved == reserved + eps);
    }

    function check_SettleNeverRaisesWhatIsUsed(
        uint64 spent,
        uint64 reserved,
        uint32 eps,
        uint32 used
    ) external from(spent, reserved) {
        if (used > eps || eps > reserved) return;
        Budget.settle(_used, eps, used);
        assert(_used.spent == spent + used && _used.reserved == reserved - eps);
        assert(uint256(_used.spent) + _used.reserved <= uint256(spent) + reserved);
    }

    function check_ReserveThenReleaseChangesNothing(uint64 spent, uint64 reserved, uint32 eps)
        external
        from(spent, reserved)
    {
        Budget.reserve(_used, eps);
        Budget.settle(_used, eps, 0);
        assert(_used.spent == spent && _used.reserved == reserved);
    }

    function check_LeftIsExact(uint64 spent, uint64 reserved, uint64 cap)
        external
        from(spent, reserved)
    {
        uint256 sum = uint256(spent) + reserved;
        assert(Budget.left(cap, _used) == (sum < cap ? cap - sum : 0));
    }
}
