// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The errors that every contract of the set may answer with.
/// @notice Each one carries the facts: who, which state, which limit. A contract adds its own only
/// where none of these says it.
interface IErrors {
    /// @notice `signer` does not speak for `subject` in a role that this act asks for.
    error NotParty(bytes16 subject, address signer);

    /// @notice The institution is neither on probation nor active; `status` is what it is now.
    error NotActive(bytes16 subject, uint8 status);

    /// @notice A sanction of level `level` keeps `party` from requesting.
    error Sanctioned(bytes16 party, uint8 level);

    /// @notice The object is in state `have`; the act starts from state `want`.
    error WrongState(bytes32 id, uint8 have, uint8 want);

    /// @notice Nothing is registered under `id`. A `bytes16` id stands left-aligned.
    error Unknown(bytes32 id);

    /// @notice `id` is taken. A `bytes16` id stands left-aligned.
    error Exists(bytes32 id);

    /// @notice The act is possible from `notBefore` on, in seconds since 1970.
    error TooEarly(uint64 notBefore);

    /// @notice The act was possible until `deadline`, in seconds since 1970.
    error TooLate(uint64 deadline);

    /// @notice A number, length or time lies outside `min`…`max`, both allowed.
    error OutOfBounds(uint256 value, uint256 min, uint256 max);

    /// @notice The signature was not made by `signer` over this content, contract and chain.
    error BadSignature(address signer);

    /// @notice The signed intent was good until `deadline`.
    error IntentExpired(uint64 deadline);

    /// @notice The guardian stopped opening acts of module `name` until `until`.
    error Stopped(bytes32 name, uint64 until);

    /// @notice The proof does not lead from the leaf at `index` to `root`.
    error BadProof(bytes32 root, uint256 index);

    /// @notice The hash given differs from the one the contract expects.
    error HashMismatch(bytes32 have, bytes32 want);

    /// @notice The sequence number given differs from the next one expected.
    error SeqMismatch(uint64 have, uint64 want);
}
