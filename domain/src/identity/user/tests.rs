use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::test::TestFramework;
use uuid::Uuid;

use super::*;
use crate::identity::PersonName;

const USER: UserId = UserId::new(Uuid::from_u128(1));
const HERE: SessionId = SessionId::new(Uuid::from_u128(2));
const ORGANIZATION: OrganizationId = OrganizationId::new(Uuid::from_u128(3));

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("is a time")
}

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("is an address")
}

fn registered() -> UserEvent {
    UserEvent::Registered {
        user_id: USER,
        email: Personal::new(USER, address("ada@example.org")),
        profile: Personal::new(USER, Profile::of(PersonName::parse("Ada").expect("is a name"))),
        settings: Personal::new(USER, UserSettings::default()),
        password: Some(Secret::new(User::secrets(USER), "hash".to_string())),
    }
}

fn requested(expires_at: DateTime<Utc>) -> UserEvent {
    UserEvent::EmailChangeRequested {
        address: Personal::new(USER, address("ada@new.example.org")),
        token: Secret::new(User::secrets(USER), "digest".to_string()),
        request_id: Uuid::from_u128(9),
        expires_at,
    }
}

fn user(events: Vec<UserEvent>) -> User {
    let mut user = User::default();
    events.into_iter().for_each(|event| user.apply(event));
    user
}

fn given(events: Vec<UserEvent>) -> cqrs_es::test::AggregateTestExecutor<User> {
    TestFramework::<User>::with(()).given(events)
}

#[test]
fn an_id_registers_once() {
    let register = UserCommand::Register {
        user_id: USER,
        email: address("ada@example.org"),
        profile: Profile::of(PersonName::parse("Ada").expect("is a name")),
        settings: UserSettings::default(),
        password_hash: Some("hash".to_string()),
    };
    given(vec![]).when(register.clone()).then_expect_events(vec![registered()]);
    given(vec![registered()]).when(register.clone()).then_expect_error(UserError::AlreadyRegistered);
    given(vec![registered(), UserEvent::Deleted])
        .when(register)
        .then_expect_error(UserError::AlreadyRegistered);
}

#[test]
fn nothing_is_asked_of_who_is_not_there() {
    let command = UserCommand::GrantOperator;
    given(vec![]).when(command.clone()).then_expect_error(UserError::NotFound);
    given(vec![registered(), UserEvent::Deleted]).when(command).then_expect_error(UserError::NotFound);
}

#[test]
fn a_change_of_password_ends_the_other_sessions() {
    let change = UserCommand::ChangePassword { password_hash: "new".to_string(), keep_session: Some(HERE) };
    let changed = UserEvent::PasswordChanged {
        password: Secret::new(User::secrets(USER), "new".to_string()),
        session_epoch: 1,
        kept_session: Some(HERE),
    };
    given(vec![registered()]).when(change).then_expect_events(vec![changed.clone()]);

    let elsewhere = SessionId::new(Uuid::from_u128(77));
    let before = user(vec![registered()]);
    assert!(before.honours_session(HERE, 0) && before.honours_session(elsewhere, 0));
    let after = user(vec![registered(), changed.clone()]);
    assert!(after.honours_session(HERE, 0), "the session that changed it stays");
    assert!(!after.honours_session(elsewhere, 0), "the others are over");
    assert!(after.honours_session(elsewhere, 1), "a session opened since counts");
    let again = UserEvent::SessionsRevoked { session_epoch: 2, kept_session: Some(elsewhere) };
    let twice = user(vec![registered(), changed, again]);
    assert!(!twice.honours_session(HERE, 0), "kept once is not kept for ever");
}

#[test]
fn a_new_address_counts_once_its_token_comes_back() {
    let confirm = UserCommand::ConfirmEmailChange { token_digest: "digest".to_string(), now: now() };
    let until = now() + TimeDelta::seconds(1);
    given(vec![registered(), requested(until)]).when(confirm.clone()).then_expect_events(vec![
        UserEvent::EmailChanged { email: Personal::new(USER, address("ada@new.example.org")) },
    ]);
    given(vec![registered(), requested(now())])
        .when(confirm.clone())
        .then_expect_error(UserError::NoSuchEmailChange);
    given(vec![registered()]).when(confirm).then_expect_error(UserError::NoSuchEmailChange);
    given(vec![registered(), requested(until)])
        .when(UserCommand::ConfirmEmailChange { token_digest: "other".to_string(), now: now() })
        .then_expect_error(UserError::NoSuchEmailChange);
}

#[test]
fn a_change_of_address_is_valid_for_a_day_and_used_once() {
    let request = UserCommand::RequestEmailChange {
        request_id: Uuid::from_u128(9),
        address: address("ada@new.example.org"),
        token_digest: "digest".to_string(),
        now: now(),
    };
    given(vec![registered()]).when(request).then_expect_events(vec![requested(now() + TimeDelta::hours(24))]);
    let changed = UserEvent::EmailChanged { email: Personal::new(USER, address("ada@new.example.org")) };
    given(vec![registered(), requested(now() + TimeDelta::hours(1)), changed])
        .when(UserCommand::ConfirmEmailChange { token_digest: "digest".to_string(), now: now() })
        .then_expect_error(UserError::NoSuchEmailChange);
}

#[test]
fn the_same_address_is_no_change() {
    given(vec![registered()])
        .when(UserCommand::RequestEmailChange {
            request_id: Uuid::from_u128(9),
            address: address("ada@example.org"),
            token_digest: "digest".to_string(),
            now: now(),
        })
        .then_expect_error(UserError::SameAddress);
}

#[test]
fn what_changes_nothing_is_no_event() {
    let profile = Profile::of(PersonName::parse("Ada").expect("is a name"));
    given(vec![registered()]).when(UserCommand::ChangeProfile { profile }).then_expect_events(vec![]);
    let settings = UserSettings::default();
    given(vec![registered()]).when(UserCommand::ChangeSettings { settings }).then_expect_events(vec![]);
    given(vec![registered()]).when(UserCommand::RevokeOperator).then_expect_events(vec![]);
}

#[test]
fn an_account_goes_once_its_organizations_are_left() {
    let joined = UserEvent::OrganizationJoined { organization_id: ORGANIZATION };
    given(vec![registered(), joined.clone()])
        .when(UserCommand::Delete)
        .then_expect_error(UserError::StillMember);
    let left = UserEvent::OrganizationLeft { organization_id: ORGANIZATION };
    given(vec![registered(), joined, left])
        .when(UserCommand::Delete)
        .then_expect_events(vec![UserEvent::Deleted]);
}

#[test]
fn nothing_of_a_deleted_person_stays_in_the_state() {
    let state = user(vec![registered(), requested(now()), UserEvent::Deleted]);
    let json = serde_json::to_string(&state).expect("serializes");
    assert!(!json.contains("example.org") && !json.contains("Ada") && !json.contains("hash"), "{json}");
}

#[test]
fn organizations_and_keys_are_bounded() {
    let mut events = vec![registered()];
    events.extend((0..User::ORGANIZATIONS_MAX as u128).map(|number| UserEvent::OrganizationJoined {
        organization_id: OrganizationId::new(Uuid::from_u128(1_000 + number)),
    }));
    events.extend(
        (0..User::API_KEYS_MAX as u128).map(|number| UserEvent::ApiKeyAdded {
            api_key_id: ApiKeyId::new(Uuid::from_u128(2_000 + number)),
        }),
    );
    given(events.clone())
        .when(UserCommand::JoinOrganization { organization_id: ORGANIZATION })
        .then_expect_error(UserError::TooManyOrganizations { max: 100 });
    given(events.clone())
        .when(UserCommand::AddApiKey { api_key_id: ApiKeyId::default() })
        .then_expect_error(UserError::TooManyApiKeys { max: 50 });
    let removed = UserEvent::ApiKeyRemoved { api_key_id: ApiKeyId::new(Uuid::from_u128(2_000)) };
    given(events)
        .and(vec![removed])
        .when(UserCommand::AddApiKey { api_key_id: ApiKeyId::default() })
        .then_expect_events(vec![UserEvent::ApiKeyAdded { api_key_id: ApiKeyId::default() }]);
}

fn verification(expires_at: DateTime<Utc>) -> UserEvent {
    UserEvent::EmailVerificationRequested {
        token: Secret::new(User::secrets(USER), "digest".to_string()),
        request_id: Uuid::from_u128(9),
        occasion: VerificationOccasion::Asked,
        expires_at,
    }
}

fn reset(digest: &str, expires_at: DateTime<Utc>) -> UserEvent {
    UserEvent::PasswordResetRequested {
        token: Secret::new(User::secrets(USER), digest.to_string()),
        request_id: Uuid::from_u128(9),
        expires_at,
    }
}

fn ask_for_reset(digest: &str) -> UserCommand {
    let request_id = Uuid::from_u128(9);
    UserCommand::RequestPasswordReset { request_id, token_digest: digest.to_string(), now: now() }
}

fn reset_with(digest: &str) -> UserCommand {
    let (token_digest, password_hash) = (digest.to_string(), "new".to_string());
    UserCommand::ResetPassword { token_digest, password_hash, now: now() }
}

#[test]
fn an_address_is_verified_once_by_the_token_that_was_mailed_to_it() {
    let verify = UserCommand::VerifyEmail { token_digest: "digest".to_string(), now: now() };
    let until = now() + TimeDelta::seconds(1);
    given(vec![registered(), verification(until)])
        .when(verify.clone())
        .then_expect_events(vec![UserEvent::EmailVerified]);
    let changed = UserEvent::EmailChanged { email: Personal::new(USER, address("ada@new.example.org")) };
    for refused in [
        vec![registered()],
        vec![registered(), verification(now())],
        vec![registered(), verification(until), UserEvent::EmailVerified],
        vec![registered(), verification(until), changed],
    ] {
        given(refused).when(verify.clone()).then_expect_error(UserError::NoSuchVerification);
    }
}

#[test]
fn another_link_to_verify_is_mailed_after_a_minute_and_not_once_it_is_verified() {
    let ask = UserCommand::RequestEmailVerification {
        request_id: Uuid::from_u128(9),
        occasion: VerificationOccasion::Asked,
        token_digest: "digest".to_string(),
        now: now(),
    };
    let until = now() + User::VERIFICATION_VALID_FOR;
    given(vec![registered(), verification(until - User::LINKS_APART)])
        .when(ask.clone())
        .then_expect_events(vec![verification(until)]);
    given(vec![registered(), verification(until - TimeDelta::seconds(59))])
        .when(ask.clone())
        .then_expect_error(UserError::VerificationJustSent);
    given(vec![registered(), verification(until), UserEvent::EmailVerified])
        .when(ask)
        .then_expect_error(UserError::AlreadyVerified);
}

#[test]
fn the_newest_link_resets_the_password_once_and_ends_every_session() {
    let until = now() + TimeDelta::seconds(1);
    let changed = UserEvent::PasswordChanged {
        password: Secret::new(User::secrets(USER), "new".to_string()),
        session_epoch: 1,
        kept_session: None,
    };
    given(vec![registered(), reset("digest", until)])
        .when(reset_with("digest"))
        .then_expect_events(vec![changed.clone()]);
    let moved = UserEvent::EmailChanged { email: Personal::new(USER, address("ada@new.example.org")) };
    for refused in [
        vec![registered()],
        vec![registered(), reset("digest", now())],
        vec![registered(), reset("digest", until), reset("newer", until)],
        vec![registered(), reset("digest", until), changed.clone()],
        vec![registered(), reset("digest", until), moved],
    ] {
        given(refused).when(reset_with("digest")).then_expect_error(UserError::NoSuchPasswordReset);
    }
    let after = user(vec![registered(), reset("digest", until), changed]);
    assert!(!after.honours_session(HERE, 0), "whoever was signed in is not any more");
}

#[test]
fn a_reset_that_is_asked_for_again_at_once_changes_nothing() {
    let until = now() + User::PASSWORD_RESET_VALID_FOR;
    given(vec![registered()]).when(ask_for_reset("digest")).then_expect_events(vec![reset("digest", until)]);
    given(vec![registered(), reset("digest", until - TimeDelta::seconds(59))])
        .when(ask_for_reset("newer"))
        .then_expect_events(vec![]);
    given(vec![registered(), reset("digest", until - User::LINKS_APART)])
        .when(ask_for_reset("newer"))
        .then_expect_events(vec![reset("newer", until)]);
}
