// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title Incentives: credits and request quota.
/// @notice A credit thanks for a delivery and tops up quota. It never changes owner and has no
/// price; the ERC-20 read half is there for wallets to show it. Unit: 1 µcredit, 6 decimals.
/// Balances lose a tenth per epoch (seconds since 1970 div 7 776 000: 90 d, on every network).
///
/// @notice Quota is a bucket of 40 000 units that refills over 7 days. A request costs
/// `⌈10^7 / (2500 + lcbBps·7 div 4)⌉` units: 4 000 without standing (10 requests a week, the
/// floor), 500 with the best. An empty bucket may be topped by 5 credits a request.
interface IIncentives is IModule {
    /// @notice Credits of an institution, settled to a given epoch.
    /// @param balance Free µcredits.
    /// @param locked µcredits held for cases and jobs; they do not decay.
    /// @param epoch Epoch up to which decay was applied.
    struct Account {
        uint64 balance;
        uint64 locked;
        uint32 epoch;
    }

    /// @notice Sums over all institutions, in µcredits. What is stored, free and locked, is
    /// `accrued - spent - decayed`.
    struct Totals {
        uint128 accrued;
        uint128 spent;
        uint128 decayed;
    }

    /// @notice Governance gave `amount` and left `balance`.
    event CreditsAllotted(bytes16 indexed inst, uint64 amount, uint64 balance);

    event CreditsAccrued(
        bytes16 indexed owner, bytes16 indexed requester, uint8 kind, uint64 amount, uint64 balance
    );

    /// @notice A request was counted: `units` left the bucket, or `paid` µcredits the balance.
    event QuotaConsumed(bytes16 indexed inst, uint256 units, uint64 paid);

    event CreditsLocked(bytes16 indexed inst, uint64 amount, bytes32 indexed ref);
    event CreditsUnlocked(bytes32 indexed ref);
    event CreditsBurned(bytes32 indexed ref);

    /// @notice Decay of the epochs gone by took `amount` and left `balance`.
    event CreditsDecayed(bytes16 indexed inst, uint64 amount, uint64 balance);

    /// @notice The bucket pays for a request again at `retryAt`.
    error QuotaExceeded(bytes16 inst, uint64 retryAt);

    /// @notice `have` µcredits are free, `want` are needed.
    error NotEnough(uint256 have, uint256 want);

    /// @notice Credits cannot be moved or promised.
    error NonTransferable();

    // ── credits ──

    /// @notice Credits an owner for a use by a requester. Restricted to ACCRUERS.
    /// @param kind 1 DELIVERY (base 10 credits), 2 RESULT_SITE (20), 3 SERVICE (10): by formula, at
    /// most 40 credits per pair and epoch. 4 PANEL (15), 5 ALGORITHM_REVIEW (5): flat, the first 4
    /// of an epoch.
    /// @param quality 0…5, as the recipient judged.
    /// @param novelty 0…10: tenths of records that the recipient had never received.
    function accrue(bytes16 owner, bytes16 requester, uint8 kind, uint8 quality, uint8 novelty)
        external;

    /// @notice Gives credits, at most 1 000 credits per institution and epoch: for a newcomer whose
    /// mandate needs more than the floor. Restricted to GOVERNANCE.
    function allot(bytes16 inst, uint64 amount) external;

    /// @notice Counts one request, by quota or else by credits. Restricted to CONSUMERS.
    function consume(bytes16 inst) external;

    /// @notice Holds back credits for a case or job, one hold per `ref`. Restricted to ESCROW.
    function lock(bytes16 inst, uint64 amount, bytes32 ref) external;

    /// @notice Frees what is held for `ref`. Restricted to ESCROW.
    function unlock(bytes32 ref) external;

    /// @notice Destroys what is held for `ref`. Restricted to ESCROW.
    function burn(bytes32 ref) external;

    /// @notice Applies the decay of the epochs gone by. Anyone.
    function settle(bytes16 inst) external;

    // ── views ──

    /// @notice Where an institution's quota stands now.
    /// @return available Units in its bucket.
    /// @return cost Units of its next request.
    /// @return retryAt When the bucket can pay for it, in seconds since 1970; now if it can.
    function quota(bytes16 inst)
        external
        view
        returns (uint256 available, uint256 cost, uint64 retryAt);

    /// @notice Credits of an institution, as a settlement now would leave them.
    function creditsOf(bytes16 inst) external view returns (Account memory);

    /// @notice Sums over all institutions, as stored.
    function totals() external view returns (Totals memory);

    // ── ERC-20, the half that reads ──

    function name() external view returns (string memory);
    function symbol() external view returns (string memory);
    function decimals() external view returns (uint8);

    /// @notice Stored credits, free and locked, before decay that nobody settled yet.
    function totalSupply() external view returns (uint256);

    /// @notice Free credits of the institution whose own account this is; 0 for other accounts.
    function balanceOf(address account) external view returns (uint256);

    /// @notice Always 0.
    function allowance(address owner, address spender) external view returns (uint256);

    /// @notice Always reverts with `NonTransferable`.
    function transfer(address to, uint256 amount) external returns (bool);
    function approve(address spender, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}
