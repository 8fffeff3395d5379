use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

use super::*;
use crate::{
    identity::OrganizationName,
    kernel::{Allowance, Quota, Subject, TierName},
};

const ORGANIZATION: OrganizationId = OrganizationId::new(Uuid::from_u128(1));
const OWNER: UserId = UserId::new(Uuid::from_u128(10));
const ADMIN: UserId = UserId::new(Uuid::from_u128(11));
const MEMBER: UserId = UserId::new(Uuid::from_u128(12));
const STRANGER: UserId = UserId::new(Uuid::from_u128(13));
const INVITATION: InvitationId = InvitationId::new(Uuid::from_u128(20));

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("is a time")
}

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("is an address")
}

fn created() -> OrganizationEvent {
    let name = OrganizationName::parse("Engines").expect("is a name");
    OrganizationEvent::Created {
        organization_id: ORGANIZATION,
        settings: OrganizationSettings::named(name),
        owner: OWNER,
    }
}

fn accepted(user_id: UserId, role: Role) -> OrganizationEvent {
    OrganizationEvent::InvitationAccepted { invitation_id: InvitationId::default(), user_id, role }
}

/// An organization with an owner, an admin and a user.
fn staffed() -> AggregateTestExecutor<Organization> {
    given(vec![created(), accepted(ADMIN, Role::Admin), accepted(MEMBER, Role::User)])
}

fn given(events: Vec<OrganizationEvent>) -> AggregateTestExecutor<Organization> {
    TestFramework::<Organization>::with(()).given(events)
}

fn invite(by: UserId, role: Role) -> OrganizationCommand {
    OrganizationCommand::Invite {
        by,
        invitation_id: INVITATION,
        email: address("New@example.org"),
        known_user: None,
        role,
        token_digest: "digest".to_string(),
        allowance: seats(None),
        now: now(),
    }
}

fn seats(limit: Option<u64>) -> Allowance {
    let tier = |name| TierName::parse(name).expect("is a name");
    Allowance { quota: Quota::Members, tier: tier("free"), limit, more_in: Some(tier("pro")) }
}

fn invited(invited_by: UserId, role: Role) -> OrganizationEvent {
    OrganizationEvent::MemberInvited {
        invitation_id: INVITATION,
        email: Personal::new(Subject::invitation(INVITATION), address("New@example.org")),
        role,
        token: Secret::new(Organization::invitation_secrets(INVITATION), "digest".to_string()),
        invited_by,
        expires_at: now() + TimeDelta::days(7),
    }
}

fn accept() -> OrganizationCommand {
    OrganizationCommand::AcceptInvitation {
        invitation_id: INVITATION,
        token_digest: "digest".to_string(),
        user_id: STRANGER,
        email: address("new@Example.org"),
        now: now(),
    }
}

#[test]
fn nobody_grants_more_than_their_own_role() {
    staffed().when(invite(ADMIN, Role::Admin)).then_expect_events(vec![invited(ADMIN, Role::Admin)]);
    staffed().when(invite(OWNER, Role::Owner)).then_expect_error(OrganizationError::OwnerOnlyByTransfer);
    staffed()
        .when(invite(MEMBER, Role::Viewer))
        .then_expect_error(OrganizationError::RoleTooWeak { role: Role::User, needed: Role::Admin });
    staffed().when(invite(STRANGER, Role::Viewer)).then_expect_error(OrganizationError::NotFound);
    let promote = |role| OrganizationCommand::ChangeRole { by: ADMIN, user_id: MEMBER, role };
    staffed().when(promote(Role::Owner)).then_expect_error(OrganizationError::OwnerOnlyByTransfer);
    staffed().when(promote(Role::Admin)).then_expect_events(vec![OrganizationEvent::MemberRoleChanged {
        user_id: MEMBER,
        role: Role::Admin,
        changed_by: ADMIN,
    }]);
}

#[test]
fn an_invitation_is_bound_to_its_address_whatever_the_case() {
    let open = staffed().and(vec![invited(ADMIN, Role::User)]);
    open.when(accept()).then_expect_events(vec![OrganizationEvent::InvitationAccepted {
        invitation_id: INVITATION,
        user_id: STRANGER,
        role: Role::User,
    }]);
    let OrganizationCommand::AcceptInvitation { invitation_id, token_digest, user_id, now, .. } = accept()
    else {
        unreachable!("is an acceptance")
    };
    let email = address("other@example.org");
    let other = OrganizationCommand::AcceptInvitation { invitation_id, token_digest, user_id, email, now };
    staffed()
        .and(vec![invited(ADMIN, Role::User)])
        .when(other)
        .then_expect_error(OrganizationError::InvitationForAnotherAddress);
}

#[test]
fn an_invitation_is_used_once() {
    let used = OrganizationEvent::InvitationAccepted {
        invitation_id: INVITATION,
        user_id: STRANGER,
        role: Role::User,
    };
    staffed()
        .and(vec![invited(ADMIN, Role::User), used])
        .when(accept())
        .then_expect_error(OrganizationError::NoSuchInvitation);
    let revoked = OrganizationEvent::InvitationRevoked { invitation_id: INVITATION, revoked_by: ADMIN };
    staffed()
        .and(vec![invited(ADMIN, Role::User), revoked])
        .when(accept())
        .then_expect_error(OrganizationError::NoSuchInvitation);
}

#[test]
fn an_invitation_expires_after_seven_days() {
    let OrganizationCommand::AcceptInvitation { invitation_id, token_digest, user_id, email, .. } = accept()
    else {
        unreachable!("is an acceptance")
    };
    let now = now() + TimeDelta::days(7);
    staffed()
        .and(vec![invited(ADMIN, Role::User)])
        .when(OrganizationCommand::AcceptInvitation { invitation_id, token_digest, user_id, email, now })
        .then_expect_error(OrganizationError::InvitationExpired);
    let expire = |now| OrganizationCommand::ExpireInvitation { invitation_id: INVITATION, now };
    staffed()
        .and(vec![invited(ADMIN, Role::User)])
        .when(expire(now))
        .then_expect_events(vec![OrganizationEvent::InvitationExpired { invitation_id: INVITATION }]);
    staffed()
        .and(vec![invited(ADMIN, Role::User)])
        .when(expire(now - TimeDelta::seconds(1)))
        .then_expect_events(vec![]);
}

#[test]
fn an_invitation_is_void_once_its_inviter_may_not_grant_the_role() {
    let demoted =
        OrganizationEvent::MemberRoleChanged { user_id: ADMIN, role: Role::Viewer, changed_by: OWNER };
    staffed()
        .and(vec![invited(ADMIN, Role::Admin), demoted])
        .when(accept())
        .then_expect_error(OrganizationError::InvitationVoid);
}

#[test]
fn an_address_has_one_open_invitation_and_members_have_none() {
    staffed()
        .and(vec![invited(ADMIN, Role::User)])
        .when(invite(OWNER, Role::User))
        .then_expect_error(OrganizationError::AlreadyInvited);
    let command = OrganizationCommand::Invite {
        by: OWNER,
        invitation_id: INVITATION,
        email: address("member@example.org"),
        known_user: Some(MEMBER),
        role: Role::User,
        token_digest: "digest".to_string(),
        allowance: seats(None),
        now: now(),
    };
    staffed().when(command).then_expect_error(OrganizationError::AlreadyMember);
}

#[test]
fn an_invited_user_s_address_is_sealed_under_the_user() {
    let command = OrganizationCommand::Invite {
        by: OWNER,
        invitation_id: INVITATION,
        email: address("new@example.org"),
        known_user: Some(STRANGER),
        role: Role::User,
        token_digest: "digest".to_string(),
        allowance: seats(None),
        now: now(),
    };
    let events = staffed().when(command).inspect_result().expect("is accepted");
    let [OrganizationEvent::MemberInvited { email, .. }] = events.as_slice() else {
        panic!("one invitation")
    };
    assert_eq!(email.subject(), &Subject::from(STRANGER));
}

#[test]
fn open_invitations_are_bounded() {
    let events = (0..Organization::INVITATIONS_MAX as u128).map(|number| {
        let invitation_id = InvitationId::new(Uuid::from_u128(1_000 + number));
        OrganizationEvent::MemberInvited {
            invitation_id,
            email: Personal::new(
                Subject::invitation(invitation_id),
                address(&format!("a{number}@example.org")),
            ),
            role: Role::User,
            token: Secret::new(Organization::invitation_secrets(invitation_id), "x".to_string()),
            invited_by: OWNER,
            expires_at: now() + TimeDelta::days(1),
        }
    });
    staffed()
        .and(events.collect())
        .when(invite(OWNER, Role::User))
        .then_expect_error(OrganizationError::TooManyInvitations { max: 100 });
}

#[test]
fn the_owner_stays_until_ownership_is_handed_on() {
    staffed()
        .when(OrganizationCommand::Leave { user_id: OWNER })
        .then_expect_error(OrganizationError::OwnerMustTransfer);
    given(vec![created()])
        .when(OrganizationCommand::Leave { user_id: OWNER })
        .then_expect_error(OrganizationError::OwnerMustTransfer);
    staffed()
        .when(OrganizationCommand::RemoveMember { by: ADMIN, user_id: OWNER })
        .then_expect_error(OrganizationError::OwnerMustTransfer);
    staffed()
        .when(OrganizationCommand::ChangeRole { by: OWNER, user_id: OWNER, role: Role::User })
        .then_expect_error(OrganizationError::OwnerMustTransfer);
    staffed()
        .when(OrganizationCommand::DeleteMember { user_id: OWNER })
        .then_expect_error(OrganizationError::OwnerMustTransfer);
    let transferred = OrganizationEvent::OwnershipTransferred { from: OWNER, to: MEMBER };
    staffed()
        .and(vec![transferred])
        .when(OrganizationCommand::Leave { user_id: OWNER })
        .then_expect_events(vec![OrganizationEvent::MemberLeft { user_id: OWNER }]);
}

#[test]
fn a_sole_member_s_organization_closes_with_their_account() {
    given(vec![created()])
        .when(OrganizationCommand::DeleteMember { user_id: OWNER })
        .then_expect_events(vec![OrganizationEvent::Closed]);
    staffed()
        .when(OrganizationCommand::DeleteMember { user_id: MEMBER })
        .then_expect_events(vec![OrganizationEvent::MemberLeft { user_id: MEMBER }]);
    given(vec![created(), OrganizationEvent::Closed])
        .when(invite(OWNER, Role::User))
        .then_expect_error(OrganizationError::NotFound);
}

#[test]
fn ownership_goes_from_the_owner_to_a_member() {
    let transfer = |by, to| OrganizationCommand::TransferOwnership { by, to };
    staffed()
        .when(transfer(OWNER, MEMBER))
        .then_expect_events(vec![OrganizationEvent::OwnershipTransferred { from: OWNER, to: MEMBER }]);
    staffed()
        .when(transfer(ADMIN, MEMBER))
        .then_expect_error(OrganizationError::RoleTooWeak { role: Role::Admin, needed: Role::Owner });
    staffed().when(transfer(OWNER, OWNER)).then_expect_error(OrganizationError::AlreadyOwner);
    staffed().when(transfer(OWNER, STRANGER)).then_expect_error(OrganizationError::NoSuchMember);
}

/// Whatever is tried in whatever order, one owner stays: every sequence of three commands of
/// every member, from a staffed organization.
#[test]
fn there_is_always_exactly_one_owner() {
    let people = [OWNER, ADMIN, MEMBER];
    let mut commands = Vec::new();
    for user_id in people {
        commands.push(OrganizationCommand::Leave { user_id });
        commands.push(OrganizationCommand::DeleteMember { user_id });
        for by in people {
            commands.push(OrganizationCommand::RemoveMember { by, user_id });
            commands.push(OrganizationCommand::TransferOwnership { by, to: user_id });
            for role in Role::ALL {
                commands.push(OrganizationCommand::ChangeRole { by, user_id, role });
            }
        }
    }
    let mut start = Organization::default();
    [created(), accepted(ADMIN, Role::Admin), accepted(MEMBER, Role::User)]
        .into_iter()
        .for_each(|event| start.apply(event));
    let mut states = vec![start];
    let mut seen = 0_u32;
    for _ in 0..3 {
        let mut next = Vec::new();
        for state in &states {
            for command in &commands {
                let Ok(Some(event)) = state.decide(command.clone()) else { continue };
                let mut after = state.clone();
                after.apply(event);
                let owners = after.members.values().filter(|role| **role == Role::Owner).count();
                assert_eq!(owners, usize::from(after.is_open()), "after {command:?}");
                seen += 1;
                next.push(after);
            }
        }
        states = next;
    }
    assert!(seen > 1_000, "only {seen} changes were accepted");
}

#[test]
fn members_and_open_invitations_take_the_tiers_seats() {
    let with = |limit: u64, number: u128| {
        let OrganizationCommand::Invite { by, email, known_user, role, token_digest, now, .. } =
            invite(OWNER, Role::User)
        else {
            unreachable!("is an invitation")
        };
        let invitation_id = InvitationId::new(Uuid::from_u128(number));
        let allowance = seats(Some(limit));
        OrganizationCommand::Invite {
            by,
            invitation_id,
            email,
            known_user,
            role,
            token_digest,
            allowance,
            now,
        }
    };
    let other = OrganizationEvent::MemberInvited {
        invitation_id: InvitationId::new(Uuid::from_u128(21)),
        email: Personal::new(Subject::from(STRANGER), address("else@example.org")),
        role: Role::User,
        token: Secret::new(Organization::invitation_secrets(INVITATION), "digest".to_string()),
        invited_by: OWNER,
        expires_at: now() + TimeDelta::days(1),
    };
    // Three members and one invitation.
    let staffed = || staffed().and(vec![other.clone()]);
    staffed().when(with(5, 20)).then_expect_events(vec![invited(OWNER, Role::User)]);
    staffed().when(with(4, 20)).then_expect_error_message(
        "the tier free has 4 members and open invitations, and 4 are used; the tier pro has more",
    );
    // Who was invited before a downgrade has their seat.
    let open = staffed().and(vec![invited(OWNER, Role::User)]);
    open.when(accept()).then_expect_events(vec![OrganizationEvent::InvitationAccepted {
        invitation_id: INVITATION,
        user_id: STRANGER,
        role: Role::User,
    }]);
}

#[test]
fn a_tier_is_set_when_it_is_another_one() {
    let tier = |name| TierName::parse(name).expect("is a name");
    let reason = crate::operations::Reason::parse("they asked for it").ok();
    let set =
        |name| OrganizationCommand::SetTier { tier: tier(name), reason: reason.clone(), by: Some(STRANGER) };
    let became =
        |name| OrganizationEvent::TierSet { tier: tier(name), reason: reason.clone(), by: Some(STRANGER) };
    given(vec![created()]).when(set("pro")).then_expect_events(vec![became("pro")]);
    given(vec![created(), became("pro")]).when(set("pro")).then_expect_events(vec![]);
    given(vec![created(), became("pro")]).when(set("free")).then_expect_events(vec![became("free")]);
    given(vec![]).when(set("pro")).then_expect_error(OrganizationError::NotFound);
    given(vec![created(), OrganizationEvent::Closed])
        .when(set("pro"))
        .then_expect_error(OrganizationError::NotFound);
}
