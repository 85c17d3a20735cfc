// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDirectory} from "./IDirectory.sol";
import {IErrors} from "./IErrors.sol";

/// @title What all modules share.
/// @notice Two kinds of signed input exist, both EIP-712 under the domain
/// `{name: "msnet <Contract>", version: "1", chainId, verifyingContract}`:
///
/// - a *document* is a struct whose id is its own digest; `f(doc)` or `fBySig(doc, signer,
/// signature)`; - an *act* is any other function of a party; `f(args)` or `fBySig(args, auth)`. Its
/// type is the
///   function's name with a capital, its parameters in order, then `uint256 nonce,uint64 deadline`.
///
/// Whoever sends the transaction of a relayed twin has no say in it.
interface IModule is IErrors {
    /// @notice Consent of `signer` to one act.
    /// @param signer Account that speaks: a key of an institution, a credential or a hub.
    /// @param nonce 192-bit key ‖ 64-bit counter, so that sessions run side by side (`nonces`).
    /// @param deadline Last second at which the act may be carried out.
    /// @param signature 65 bytes `r ‖ s ‖ v` with low `s`, or what the signer's ERC-1271
    /// accepts.
    struct Auth {
        address signer;
        uint256 nonce;
        uint64 deadline;
        bytes signature;
    }

    /// @notice Where the other modules are found.
    function DIRECTORY() external view returns (IDirectory);
}
