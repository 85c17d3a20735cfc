// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDataHubRegistry} from "../interfaces/IDataHubRegistry.sol";
import {IDirectory} from "../interfaces/IDirectory.sol";
import {Codes} from "./Codes.sol";

/// @title Who stands behind a party.
library Parties {
    /// @notice The institution whose interests a party shares: a hub's sponsor, or the party
    /// itself.
    function principalOf(IDirectory directory, bytes16 party) internal view returns (bytes16) {
        address hubs = directory.addressOf(Codes.DATA_HUB_REGISTRY);
        if (hubs == address(0)) return party;
        bytes16 sponsor = IDataHubRegistry(hubs).hub(party).sponsor;
        return sponsor == 0 ? party : sponsor;
    }

    /// @notice Whether a party is a hub that is open.
    function isOpenHub(IDirectory directory, bytes16 party) internal view returns (bool) {
        address hubs = directory.addressOf(Codes.DATA_HUB_REGISTRY);
        if (hubs == address(0)) return false;
        return IDataHubRegistry(hubs).hub(party).status == IDataHubRegistry.HubStatus.Open;
    }
}
