// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What Supervision asks of a module whose objects people can complain about.
/// @notice DeliveryLedger, AccessRegistry (also for CareRegistry) and ComputeJobs answer it. All
/// give side 1 first.
interface IFaults {
    /// @notice Both sides of an object: 1 owner, sender or service; 2 requester, recipient or
    /// customer. Zeros if the module does not know it.
    function partiesOf(bytes32 id) external view returns (bytes16 side1, bytes16 side2);

    /// @notice Fault that the module established by rule (`libraries/Codes.sol`), and whose it is;
    /// zeros if none.
    function faultOf(bytes32 id) external view returns (uint8 faultCode, uint8 side);
}
