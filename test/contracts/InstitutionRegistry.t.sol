// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Vm} from "forge-std/Vm.sol";

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Base} from "./Base.t.sol";

contract InstitutionRegistryTest is Base {
    bytes16 private constant EAST = bytes16(keccak256("east"));
    bytes32 private constant CASE = keccak256("case");

    Vm.Wallet private _east;
    address private _sanctions;

    function setUp() public override {
        super.setUp();
        _east = vm.createWallet("east");
        _sanctions = _at(Codes.SANCTIONS);
    }

    function _form() private view returns (IInstitutionRegistry.Application memory) {
        return _application(EAST, Codes.RESEARCH, 4, _east.addr);
    }

    function _apply() private {
        vm.prank(_east.addr);
        institutions.submitApplication(_form());
    }

    function _suspend(bytes16 id, uint64 until) private {
        vm.prank(_sanctions);
        institutions.setSuspended(id, until, CASE);
    }

    function _status(bytes16 id) private view returns (uint8) {
        return uint8(institutions.statusAt(id, _now()));
    }

    function _unauthorized(address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, who);
    }

    // ── found ──

    function test_FoundersAreActiveAtOnce() public view {
        assertEq(_status(NORTH), 4);
        assertTrue(institutions.isActive(NORTH));
        assertEq(institutions.electorateAt(START), 3);
        assertEq(institutions.electorateAt(START - 1), 0);
        assertEq(keys.subjectOf(north.addr), NORTH);
        IInstitutionRegistry.Institution memory i = institutions.institution(NORTH);
        assertEq(i.kind, 1);
        assertEq(i.tier, TIER);
        assertEq(i.group, 1);
        assertEq(i.appliedAt, START);
        assertEq(i.probationEnds, START);
        assertEq(i.endpointHash, keccak256("https://hospital.example"));
    }

    function test_FoundIsRestrictedAndOnlyWhileNobodyIsActive() public {
        IInstitutionRegistry.Application[] memory list = new IInstitutionRegistry.Application[](3);
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        institutions.found(list, TIER);

        vm.prank(admin);
        manager.grantRole(Roles.FOUNDER_ROLE, admin, 0);
        _expect(_wrongState(0, 4, 0));
        vm.prank(admin);
        institutions.found(list, TIER);
    }

    // ── submitApplication ──

    function test_AnApplicantIsAppliedAndItsAccountBound() public {
        IInstitutionRegistry.Application memory a = _form();
        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.InstitutionApplied(
            EAST, a.kind, a.group, a.legalHash, _east.addr, a.name, a.endpoint
        );
        _apply();
        assertEq(_status(EAST), 1);
        assertEq(keys.subjectOf(_east.addr), EAST);
        assertFalse(institutions.isActive(EAST));
    }

    function test_AnApplicationCanBeRelayed() public {
        IInstitutionRegistry.Application memory a = _form();
        bytes memory encoded = abi.encode(
            keccak256(
                "Application(bytes16 id,uint8 kind,uint32 group,bytes32 legalHash,string name,string endpoint,address account,bytes32 salt)"
            ),
            a.id,
            a.kind,
            a.group,
            a.legalHash,
            keccak256(bytes(a.name)),
            keccak256(bytes(a.endpoint)),
            a.account,
            a.salt
        );
        bytes memory signature =
            _signStruct(_east, address(institutions), "InstitutionRegistry", encoded);
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, south.addr));
        institutions.submitApplicationBySig(a, south.addr, signature);
        vm.prank(relayer);
        institutions.submitApplicationBySig(a, _east.addr, signature);
        assertEq(_status(EAST), 1);
    }

    function test_AnApplicationIsMadeByTheAccountItNames() public {
        _expect(_notParty(EAST, stranger));
        vm.prank(stranger);
        institutions.submitApplication(_form());
    }

    function test_AnApplicationInBadFormIsRefused() public {
        vm.startPrank(_east.addr);
        IInstitutionRegistry.Application memory a = _form();
        a.id = 0;
        _expect(_unknown(0));
        institutions.submitApplication(a);
        a = _form();
        a.kind = 6;
        _expect(_outOfBounds(6, 1, 5));
        institutions.submitApplication(a);
        a = _form();
        a.legalHash = 0;
        _expect(_outOfBounds(0, 1, type(uint256).max));
        institutions.submitApplication(a);
        a = _form();
        a.name = "";
        _expect(_outOfBounds(0, 1, 128));
        institutions.submitApplication(a);
        a.name = string(new bytes(129));
        _expect(_outOfBounds(129, 1, 128));
        institutions.submitApplication(a);
        a = _form();
        a.endpoint = string(new bytes(257));
        _expect(_outOfBounds(257, 0, 256));
        institutions.submitApplication(a);
    }

    function test_NoIdAccountOrLegalPersonTwice() public {
        _apply();
        _expect(_exists(EAST));
        vm.prank(stranger);
        institutions.submitApplication(_application(EAST, 1, 4, stranger));

        IInstitutionRegistry.Application memory a = _application("new", 1, 4, stranger);
        a.legalHash = institutions.institution(NORTH).legalHash;
        _expect(
            abi.encodeWithSelector(IInstitutionRegistry.LegalIdInUse.selector, a.legalHash, NORTH)
        );
        vm.prank(stranger);
        institutions.submitApplication(a);

        _expect(_exists(_keyId(_east.addr)));
        vm.prank(_east.addr);
        institutions.submitApplication(_application("new", 1, 4, _east.addr));
    }

    /// @dev A stranger who applies under a hospital's public register number blocks nobody: the
    /// legal person is bound when others have vouched and governance admits.
    function test_ALegalPersonIsBoundByAdmissionAlone() public {
        IInstitutionRegistry.Application memory a = _application("stranger", 1, 5, stranger);
        a.legalHash = _form().legalHash;
        vm.prank(stranger);
        institutions.submitApplication(a);
        assertEq(institutions.holderOf(a.legalHash), 0);
        _apply();
        for (uint256 i = 0; i < 2; ++i) {
            bytes16 id = i == 0 ? EAST : bytes16("stranger");
            vm.prank(north.addr);
            institutions.sponsor(id, NORTH);
            vm.prank(south.addr);
            institutions.sponsor(id, SOUTH);
        }
        vm.startPrank(admin);
        institutions.admit(EAST, 1);
        assertEq(institutions.holderOf(a.legalHash), EAST);
        _expect(
            abi.encodeWithSelector(IInstitutionRegistry.LegalIdInUse.selector, a.legalHash, EAST)
        );
        institutions.admit("stranger", 1);
    }

    // ── the way to active ──

    function test_TheWholeWay() public {
        _apply();
        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.InstitutionSponsored(EAST, NORTH, 1);
        vm.prank(north.addr);
        institutions.sponsor(EAST, NORTH);
        assertEq(_status(EAST), 1);
        vm.prank(south.addr);
        institutions.sponsor(EAST, SOUTH);
        assertEq(_status(EAST), 2);

        uint64 ends = START + 90 * DAY;
        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.InstitutionAdmitted(EAST, 1, ends);
        vm.prank(admin);
        institutions.admit(EAST, 1);
        assertEq(_status(EAST), 3);
        assertTrue(institutions.isActive(EAST));
        assertEq(institutions.electorateAt(START), 3);

        vm.warp(ends - 1);
        _expect(abi.encodeWithSelector(IErrors.TooEarly.selector, ends));
        institutions.activate(EAST);
        vm.warp(ends);
        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.InstitutionActivated(EAST);
        institutions.activate(EAST);
        assertEq(_status(EAST), 4);
        assertEq(institutions.electorateAt(ends), 4);
        assertEq(institutions.electorateAt(ends - 1), 3);
        assertEq(uint8(institutions.statusAt(EAST, START)), 3);
    }

    function test_SponsoringIsRelayedToo() public {
        _apply();
        IModule.Auth memory auth = _consent(
            north,
            address(institutions),
            "InstitutionRegistry",
            "Sponsor(bytes16 id,bytes16 by,uint256 nonce,uint64 deadline)",
            abi.encode(EAST, NORTH)
        );
        vm.prank(relayer);
        institutions.sponsorBySig(EAST, NORTH, auth);
        assertEq(institutions.institution(EAST).sponsors, 1);
    }

    function test_ASponsorIsActiveAnAdminOfAnotherGroupAndCountsOnce() public {
        _apply();
        vm.prank(north.addr);
        institutions.sponsor(EAST, NORTH);
        _expect(_exists(NORTH));
        vm.prank(north.addr);
        institutions.sponsor(EAST, NORTH);

        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        institutions.sponsor(EAST, SOUTH);

        vm.prank(admin);
        institutions.setClass(SOUTH, 2, 4);
        _expect(abi.encodeWithSelector(IInstitutionRegistry.SameGroup.selector, 4));
        vm.prank(south.addr);
        institutions.sponsor(EAST, SOUTH);

        _suspend(INSPECTORATE, START + DAY);
        _expect(abi.encodeWithSelector(IErrors.NotActive.selector, INSPECTORATE, 5));
        vm.prank(inspectorate.addr);
        institutions.sponsor(EAST, INSPECTORATE);

        _expect(_unknown("nobody"));
        vm.prank(north.addr);
        institutions.sponsor("nobody", NORTH);
    }

    function test_AdmitIsGovernancesAndTakesASponsoredApplicant() public {
        _apply();
        _expect(_unauthorized(north.addr));
        vm.prank(north.addr);
        institutions.admit(EAST, 1);
        _expect(_wrongState(EAST, 1, 2));
        vm.prank(admin);
        institutions.admit(EAST, 1);
    }

    function test_AnOldApplicationLapsesAndMayReturnWithItsKey() public {
        _apply();
        uint64 ends = START + 90 * DAY;
        vm.warp(ends - 1);
        _expect(abi.encodeWithSelector(IErrors.TooEarly.selector, ends));
        institutions.lapseApplication(EAST);
        vm.warp(ends);
        institutions.lapseApplication(EAST);
        assertEq(_status(EAST), 8);

        IInstitutionRegistry.Application memory a = _form();
        _expect(_exists(_digest(address(institutions), "InstitutionRegistry", _structHash(a))));
        vm.prank(_east.addr);
        institutions.submitApplication(a);

        a.salt = keccak256("again");
        vm.prank(_east.addr);
        institutions.submitApplication(a);
        assertEq(_status(EAST), 1);
        assertEq(uint8(institutions.statusAt(EAST, ends - 1)), 1);
    }

    function _structHash(IInstitutionRegistry.Application memory a) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "Application(bytes16 id,uint8 kind,uint32 group,bytes32 legalHash,string name,string endpoint,address account,bytes32 salt)"
                ),
                a.id,
                a.kind,
                a.group,
                a.legalHash,
                keccak256(bytes(a.name)),
                keccak256(bytes(a.endpoint)),
                a.account,
                a.salt
            )
        );
    }

    // ── describe, leave ──

    function test_DescribeTellsNameAndEndpoint() public {
        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.InstitutionDescribed(NORTH, "North", "https://n.example");
        vm.prank(north.addr);
        institutions.describe(NORTH, "North", "https://n.example");
        assertEq(institutions.institution(NORTH).endpointHash, keccak256("https://n.example"));

        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        institutions.describe(NORTH, "North", "");
    }

    function test_DescribeIsRelayedWithItsTexts() public {
        IModule.Auth memory auth = _consent(
            north,
            address(institutions),
            "InstitutionRegistry",
            "Describe(bytes16 id,string name,string endpoint,uint256 nonce,uint64 deadline)",
            abi.encode(NORTH, keccak256("North"), keccak256("https://n.example"))
        );
        _expect(abi.encodeWithSelector(IErrors.BadSignature.selector, north.addr));
        institutions.describeBySig(NORTH, "North", "https://evil.example", auth);
        vm.prank(relayer);
        institutions.describeBySig(NORTH, "North", "https://n.example", auth);
    }

    function test_WhoLeavesMayReturnUnderTheSameIdWithItsOwnKeyOnly() public {
        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.InstitutionLeft(NORTH);
        vm.prank(north.addr);
        institutions.leaveNetwork(NORTH);
        assertEq(_status(NORTH), 7);
        assertEq(institutions.electorateAt(START), 2);
        assertTrue(institutions.mayAct(NORTH, NORTH, 0), "duties go on");

        _expect(abi.encodeWithSelector(IErrors.NotActive.selector, NORTH, 7));
        vm.prank(north.addr);
        institutions.leaveNetwork(NORTH);

        IInstitutionRegistry.Application memory a = _application(NORTH, 1, 1, stranger);
        a.salt = keccak256("again");
        _expect(_notParty(NORTH, stranger));
        vm.prank(stranger);
        institutions.submitApplication(a);

        a.account = north.addr;
        a.legalHash = keccak256("another person");
        _expect(
            abi.encodeWithSelector(
                IErrors.HashMismatch.selector,
                a.legalHash,
                institutions.institution(NORTH).legalHash
            )
        );
        vm.prank(north.addr);
        institutions.submitApplication(a);

        a.legalHash = institutions.institution(NORTH).legalHash;
        vm.prank(north.addr);
        institutions.submitApplication(a);
        assertEq(_status(NORTH), 1);
        assertEq(institutions.institution(NORTH).tier, 0);
    }

    // ── suspension ──

    function test_ASuspensionEndsByItself() public {
        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.InstitutionSuspended(NORTH, START + DAY, CASE);
        _suspend(NORTH, START + DAY);
        assertEq(_status(NORTH), 5);
        assertFalse(institutions.isActive(NORTH));
        assertEq(institutions.electorateAt(START), 3);

        vm.warp(START + DAY - 1);
        assertEq(_status(NORTH), 5);
        vm.warp(START + DAY);
        assertEq(_status(NORTH), 4);
        assertTrue(institutions.isActive(NORTH));
        assertFalse(institutions.isActiveAt(NORTH, START + DAY - 1));
        assertTrue(institutions.isActiveAt(NORTH, START + DAY));
    }

    function test_ASuspensionCanBeMovedAndLifted() public {
        _suspend(NORTH, START + DAY);
        _suspend(NORTH, START + 10 * DAY);
        vm.warp(START + 2 * DAY);
        assertEq(_status(NORTH), 5);
        _suspend(NORTH, 0);
        assertEq(_status(NORTH), 4);
        _expect(_wrongState(NORTH, 4, 5));
        vm.prank(_sanctions);
        institutions.setSuspended(NORTH, 0, CASE);
    }

    function test_SuspensionIsOfSanctionsAndLiesAhead() public {
        _expect(_unauthorized(admin));
        vm.prank(admin);
        institutions.setSuspended(NORTH, START + DAY, CASE);
        _expect(_outOfBounds(START, START + 1, type(uint40).max));
        vm.prank(_sanctions);
        institutions.setSuspended(NORTH, START, CASE);
        _apply();
        _expect(abi.encodeWithSelector(IErrors.NotActive.selector, EAST, 1));
        vm.prank(_sanctions);
        institutions.setSuspended(EAST, START + DAY, CASE);
    }

    function test_ProbationResumesAsProbation() public {
        _apply();
        vm.prank(north.addr);
        institutions.sponsor(EAST, NORTH);
        vm.prank(south.addr);
        institutions.sponsor(EAST, SOUTH);
        vm.prank(admin);
        institutions.admit(EAST, 1);
        _suspend(EAST, START + 100 * DAY);
        vm.warp(START + 95 * DAY);
        _expect(_wrongState(EAST, 5, 3));
        institutions.activate(EAST);
        vm.warp(START + 100 * DAY);
        assertEq(_status(EAST), 3);
        institutions.activate(EAST);
        assertEq(_status(EAST), 4);
    }

    // ── expel ──

    function test_ExpulsionBarsAndThenAllowsToReturn() public {
        uint64 bar = START + 365 * DAY;
        _expect(_wrongState(NORTH, 4, 5));
        vm.prank(admin);
        institutions.expel(NORTH, bar);
        _suspend(NORTH, START + DAY);
        _expect(_outOfBounds(bar - 1, bar, START + 3650 * DAY));
        vm.prank(admin);
        institutions.expel(NORTH, bar - 1);

        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.InstitutionExpelled(NORTH, bar);
        vm.prank(admin);
        institutions.expel(NORTH, bar);
        assertEq(_status(NORTH), 6);
        assertEq(institutions.electorateAt(START), 2);

        IInstitutionRegistry.Application memory a = _application(NORTH, 1, 1, north.addr);
        a.salt = keccak256("again");
        _expect(abi.encodeWithSelector(IInstitutionRegistry.Barred.selector, a.legalHash, bar));
        vm.prank(north.addr);
        institutions.submitApplication(a);
        vm.warp(bar);
        vm.prank(north.addr);
        institutions.submitApplication(a);
        assertEq(_status(NORTH), 1);
    }

    function test_SetClass() public {
        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.InstitutionClassed(NORTH, 3, 77);
        vm.prank(admin);
        institutions.setClass(NORTH, 3, 77);
        assertEq(institutions.institution(NORTH).tier, 3);
        assertEq(institutions.institution(NORTH).group, 77);
        _expect(_outOfBounds(4, 1, 3));
        vm.prank(admin);
        institutions.setClass(NORTH, 4, 77);
        _expect(_unknown("nobody"));
        vm.prank(admin);
        institutions.setClass("nobody", 1, 1);
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        institutions.setClass(NORTH, 1, 1);
    }

    // ── staff ──

    function test_ACredentialActsInItsRolesUntilItsEnd() public {
        (bytes16 cred,) = _staff(north, NORTH, "officer", Roles.OFFICER | Roles.ADMIN);
        assertTrue(institutions.mayAct(cred, NORTH, Roles.OFFICER));
        assertTrue(institutions.mayAct(cred, NORTH, Roles.OFFICER | Roles.STEWARD));
        assertFalse(institutions.mayAct(cred, NORTH, Roles.STEWARD));
        assertFalse(institutions.mayAct(cred, SOUTH, Roles.OFFICER));
        assertEq(institutions.institutionOf(cred), NORTH);

        vm.warp(institutions.practitioner(cred).until);
        assertFalse(institutions.mayAct(cred, NORTH, Roles.OFFICER));
        uint64 until = _now() + 400 * DAY;
        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.PractitionerSet(
            cred, NORTH, Roles.STEWARD, until, IInstitutionRegistry.CredentialStatus.Live
        );
        vm.prank(north.addr);
        institutions.setPractitioner(cred, Roles.STEWARD, until);
        assertTrue(institutions.mayAct(cred, NORTH, Roles.STEWARD));
        assertFalse(institutions.mayAct(cred, NORTH, Roles.OFFICER));
    }

    function test_TheInstitutionItselfHasEveryRoleAndNobodyElse() public view {
        assertTrue(institutions.mayAct(NORTH, NORTH, Roles.PANELIST));
        assertFalse(institutions.mayAct(NORTH, SOUTH, Roles.ALL));
        assertFalse(institutions.mayAct(0, NORTH, Roles.ALL));
        assertFalse(institutions.mayAct(0, 0, Roles.ALL));
        assertFalse(institutions.mayAct("nobody", "nobody", Roles.ALL));
    }

    function test_AnEndedCredentialNeverReturns() public {
        (bytes16 cred,) = _staff(north, NORTH, "officer", Roles.OFFICER);
        vm.prank(north.addr);
        institutions.endPractitioner(cred);
        assertFalse(institutions.mayAct(cred, NORTH, Roles.OFFICER));
        vm.startPrank(north.addr);
        _expect(_wrongState(cred, 2, 1));
        institutions.endPractitioner(cred);
        _expect(_wrongState(cred, 2, 1));
        institutions.setPractitioner(cred, Roles.OFFICER, START + DAY);
        _expect(_exists(cred));
        institutions.addPractitioner(NORTH, cred, Roles.OFFICER, START + DAY);
    }

    function test_CredentialsAreKeptByAnAdmin() public {
        (bytes16 boss, Vm.Wallet memory bossKey) = _staff(north, NORTH, "boss", Roles.ADMIN);
        (bytes16 cred, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.OFFICER);
        vm.prank(bossKey.addr);
        institutions.addPractitioner(NORTH, "third", Roles.OFFICER, START + DAY);

        vm.startPrank(clerk.addr);
        _expect(_notParty(NORTH, clerk.addr));
        institutions.addPractitioner(NORTH, "fourth", Roles.OFFICER, START + DAY);
        _expect(_notParty(NORTH, clerk.addr));
        institutions.setPractitioner(cred, Roles.ALL, START + DAY);
        _expect(_notParty(NORTH, clerk.addr));
        institutions.endPractitioner(boss);
    }

    function test_CredentialsHaveBounds() public {
        vm.startPrank(north.addr);
        _expect(_outOfBounds(0, 1, 0x3FF));
        institutions.addPractitioner(NORTH, "c", 0, START + DAY);
        _expect(_outOfBounds(0x400, 1, 0x3FF));
        institutions.addPractitioner(NORTH, "c", 0x400, START + DAY);
        uint64 max = START + 400 * DAY;
        _expect(_outOfBounds(START, START + 1, max));
        institutions.addPractitioner(NORTH, "c", 1, START);
        _expect(_outOfBounds(max + 1, START + 1, max));
        institutions.addPractitioner(NORTH, "c", 1, max + 1);
        _expect(_exists(SOUTH));
        institutions.addPractitioner(NORTH, SOUTH, 1, max);
        _expect(_unknown("nobody"));
        institutions.endPractitioner("nobody");
    }

    function test_NoIdIsInstitutionAndCredentialAtOnce() public {
        vm.prank(north.addr);
        institutions.addPractitioner(NORTH, EAST, 1, START + DAY);
        _expect(_exists(EAST));
        _apply();
        _expect(_exists(SOUTH));
        vm.prank(north.addr);
        institutions.addPractitioner(NORTH, SOUTH, 1, START + DAY);
    }

    function test_StaffIsKeptByRelayToo() public {
        bytes16 cred = "cred";
        IModule.Auth memory auth = _consent(
            north,
            address(institutions),
            "InstitutionRegistry",
            "AddPractitioner(bytes16 inst,bytes16 cred,uint16 roles,uint64 until,uint256 nonce,uint64 deadline)",
            abi.encode(NORTH, cred, uint16(3), START + DAY)
        );
        institutions.addPractitionerBySig(NORTH, cred, 3, START + DAY, auth);
        auth = _consent(
            north,
            address(institutions),
            "InstitutionRegistry",
            "SetPractitioner(bytes16 cred,uint16 roles,uint64 until,uint256 nonce,uint64 deadline)",
            abi.encode(cred, uint16(5), START + 2 * DAY)
        );
        institutions.setPractitionerBySig(cred, 5, START + 2 * DAY, auth);
        assertEq(institutions.practitioner(cred).roles, 5);
        auth = _consent(
            north,
            address(institutions),
            "InstitutionRegistry",
            "EndPractitioner(bytes16 cred,uint256 nonce,uint64 deadline)",
            abi.encode(cred)
        );
        institutions.endPractitionerBySig(cred, auth);
        assertEq(uint8(institutions.practitioner(cred).status), 2);
        auth = _consent(
            north,
            address(institutions),
            "InstitutionRegistry",
            "LeaveNetwork(bytes16 id,uint256 nonce,uint64 deadline)",
            abi.encode(NORTH)
        );
        institutions.leaveNetworkBySig(NORTH, auth);
        assertEq(_status(NORTH), 7);
    }

    // ── for panels ──

    function test_StandingIsWhatCountsNow() public {
        IInstitutionRegistry.Standing memory s = institutions.standing(SOUTH);
        assertEq(uint8(s.status), uint8(IInstitutionRegistry.Status.Active));
        assertEq(s.kind, Codes.PROVIDER);
        assertEq(s.tier, 2);
        assertEq(s.group, 2);
        s = institutions.standing(bytes16(keccak256("nobody")));
        assertEq(uint8(s.status), 0);
        assertEq(s.kind, 0);
        assertEq(s.tier, 0);
        assertEq(s.group, 0);
    }

    function test_SponsorsOfTheLastApplication() public {
        bytes16 id = bytes16(keccak256("applicant"));
        address account = makeAddr("applicant");
        vm.prank(account);
        institutions.submitApplication(_application(id, Codes.PROVIDER, 9, account));
        (bytes16 first, bytes16 second) = institutions.sponsorsOf(id);
        assertEq(first, 0);
        assertEq(second, 0);
        vm.prank(south.addr);
        institutions.sponsor(id, SOUTH);
        (first, second) = institutions.sponsorsOf(id);
        assertEq(first, SOUTH);
        assertEq(second, 0);
        vm.prank(north.addr);
        institutions.sponsor(id, NORTH);
        (first, second) = institutions.sponsorsOf(id);
        assertEq(first, SOUTH);
        assertEq(second, NORTH);
        vm.warp(_now() + 90 * DAY);
        institutions.lapseApplication(id);
        IInstitutionRegistry.Application memory again = _application(id, Codes.PROVIDER, 9, account);
        again.salt = keccak256("again");
        vm.prank(account);
        institutions.submitApplication(again);
        (first, second) = institutions.sponsorsOf(id);
        assertEq(first, 0, "nobody vouched for this one");
        assertEq(second, 0);
    }
}
