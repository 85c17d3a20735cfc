// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {IDatasetCatalog} from "../../contracts/interfaces/IDatasetCatalog.sol";
import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";

/// @title Every other module at once, and Directory: says yes to whoever asks, so that a proof
/// about one contract holds for the most permissive world around it.
contract World {
    uint64 public constant DAY = 86_400;
    bytes16 public constant OWNER = bytes16(uint128(1));

    function addressOf(bytes32) external view returns (address) {
        return address(this);
    }

    function stoppedUntil(bytes32) external pure returns (uint64) {
        return 0;
    }

    /// @dev AccessManager: whoever calls may.
    function canCall(address, address, bytes4) external pure returns (bool, uint32) {
        return (true, 0);
    }

    function subjectOf(address) external pure returns (bytes16) {
        return OWNER;
    }

    function mayAct(bytes16, bytes16, uint16) external pure returns (bool) {
        return true;
    }

    function isActive(bytes16) external pure returns (bool) {
        return true;
    }

    function isActiveAt(bytes16, uint64) external pure returns (bool) {
        return true;
    }

    function institution(bytes16)
        external
        pure
        returns (IInstitutionRegistry.Institution memory i)
    {}

    function standing(bytes16) external pure returns (IInstitutionRegistry.Standing memory s) {
        s.kind = 1;
        s.status = IInstitutionRegistry.Status.Active;
    }

    function institutionOf(bytes16 subject) external pure returns (bytes16) {
        return subject;
    }

    function practitioner(bytes16)
        external
        view
        returns (IInstitutionRegistry.Practitioner memory p)
    {
        p.until = type(uint64).max;
        p.inst = OWNER;
        p.status = IInstitutionRegistry.CredentialStatus.Live;
        p.roles = 0x3FF;
    }

    function dataset(bytes16) external pure returns (IDatasetCatalog.Dataset memory d) {
        d.owner = OWNER;
        d.status = IDatasetCatalog.Status.Live;
        d.duo = 1;
        d.modes = 7;
    }

    function conditions(bytes16) external pure returns (IDatasetCatalog.Conditions memory c) {
        c.owner = OWNER;
        c.status = IDatasetCatalog.Status.Live;
        c.duo = 1;
        c.modes = 7;
    }

    function record(bytes16, bytes16, uint8, bytes32) external pure {}
    function consume(bytes16) external pure {}

    function mayRequest(bytes16) external pure returns (bool) {
        return true;
    }
}
