// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Base} from "./Base.t.sol";

/// @title How a network may be founded: `InstitutionRegistry.found` while nobody is active.
contract FoundTest is Base {
    /// @dev Nothing stands yet; each test founds its own network.
    function setUp() public override {
        vm.warp(START);
    }

    /// @dev A call, so that a test can expect it to revert.
    function establish(IInstitutionRegistry.Application[] memory list, uint8 tier) external {
        _deploy(address(this), Holders(admin, guardian), DAY, list, tier);
    }

    /// @dev Founders of groups 1, 2, 3, …
    function _founders(uint256 count)
        private
        pure
        returns (IInstitutionRegistry.Application[] memory list)
    {
        list = new IInstitutionRegistry.Application[](count);
        for (uint256 i = 0; i < count; ++i) {
            // Casts: at most 33 founders.
            list[i] = _application(
                bytes16(uint128(i + 1)), Codes.PROVIDER, uint32(i + 1), address(uint160(i + 100))
            );
        }
    }

    function test_ThreeTo32Found() public {
        _expect(_outOfBounds(2, 3, 32));
        this.establish(_founders(2), TIER);
        _expect(_outOfBounds(33, 3, 32));
        this.establish(_founders(33), TIER);
        this.establish(_founders(3), TIER);
    }

    function test_ThirtyTwoAreActive() public {
        this.establish(_founders(32), TIER);
        institutions = IInstitutionRegistry(_at(Codes.INSTITUTION_REGISTRY));
        assertEq(institutions.electorateAt(START), 32);
        assertTrue(institutions.isActive(bytes16(uint128(32))));
    }

    function test_TwoOfOneGroupDoNotFoundButTwoOfNoneDo() public {
        IInstitutionRegistry.Application[] memory list = _founders(3);
        list[2].group = 1;
        _expect(abi.encodeWithSelector(IInstitutionRegistry.SameGroup.selector, 1));
        this.establish(list, TIER);
        list[0].group = 0;
        list[2].group = 0;
        this.establish(list, TIER);
    }

    function test_TheTierIsOneToThree() public {
        _expect(_outOfBounds(0, 1, 3));
        this.establish(_founders(3), 0);
        _expect(_outOfBounds(4, 1, 3));
        this.establish(_founders(3), 4);
    }

    function test_NoFounderTwice() public {
        IInstitutionRegistry.Application[] memory list = _founders(3);
        list[2].legalHash = list[1].legalHash;
        _expect(
            abi.encodeWithSelector(
                IInstitutionRegistry.LegalIdInUse.selector, list[1].legalHash, list[1].id
            )
        );
        this.establish(list, TIER);

        list = _founders(3);
        list[2].id = list[0].id;
        _expect(_exists(list[0].id));
        this.establish(list, TIER);

        list = _founders(3);
        list[2].account = list[0].account;
        _expect(_exists(_keyId(list[0].account)));
        this.establish(list, TIER);
    }
}
