//! Accounts at other providers: which are linked, and that a way in always stays.

use cqrs_es::test::TestFramework;
use uuid::Uuid;

use super::*;
use crate::{
    identity::{ExternalAccount, ExternalSubject, Issuer, PersonName, ProviderName},
    kernel::EmailAddress,
};

const USER: UserId = UserId::new(Uuid::from_u128(1));

fn given(events: Vec<UserEvent>) -> cqrs_es::test::AggregateTestExecutor<User> {
    TestFramework::<User>::with(()).given(events)
}

fn registered(password: Option<&str>) -> UserEvent {
    let email = EmailAddress::parse("ada@example.org").expect("is an address");
    UserEvent::Registered {
        user_id: USER,
        email: Personal::new(USER, email),
        profile: Personal::new(USER, Profile::of(PersonName::parse("Ada").expect("is a name"))),
        settings: Personal::new(USER, UserSettings::default()),
        password: password.map(|hash| Secret::new(User::secrets(USER), hash.to_string())),
    }
}

fn id(number: u128) -> ExternalIdentityId {
    ExternalIdentityId::new(Uuid::from_u128(number))
}

fn account(subject: &str) -> ExternalAccount {
    ExternalAccount { subject: ExternalSubject::parse(subject).expect("is one"), email: None }
}

fn link(number: u128, issuer: &str, subject: &str) -> UserCommand {
    UserCommand::LinkExternalIdentity {
        external_identity_id: id(number),
        provider: ProviderName::parse("acme").expect("is a name"),
        issuer: Issuer::parse(issuer).expect("is an issuer"),
        account: account(subject),
    }
}

fn linked(number: u128, issuer: &str, subject: &str) -> UserEvent {
    UserEvent::ExternalIdentityLinked {
        external_identity_id: id(number),
        provider: ProviderName::parse("acme").expect("is a name"),
        issuer: Issuer::parse(issuer).expect("is an issuer"),
        account: Personal::new(USER, account(subject)),
    }
}

fn unlink(number: u128) -> UserCommand {
    UserCommand::UnlinkExternalIdentity { external_identity_id: id(number) }
}

const ACME: &str = "https://login.acme.example";
const OTHER: &str = "https://login.other.example";

#[test]
fn one_account_of_each_issuer_is_linked() {
    let password = registered(Some("hash"));
    given(vec![password.clone()]).when(link(7, ACME, "a")).then_expect_events(vec![linked(7, ACME, "a")]);
    let both = vec![password, linked(7, ACME, "a")];
    given(both.clone()).when(link(8, ACME, "a")).then_expect_events(vec![]);
    let refused = UserError::LinkedDifferently { issuer: ACME.to_string() };
    given(both.clone()).when(link(8, ACME, "b")).then_expect_error(refused);
    given(both).when(link(8, OTHER, "a")).then_expect_events(vec![linked(8, OTHER, "a")]);
}

#[test]
fn so_many_accounts_are_linked_and_no_more() {
    let mut events = vec![registered(Some("hash"))];
    for number in 0..User::EXTERNAL_IDENTITIES_MAX as u128 {
        events.push(linked(number, &format!("https://{number}.example"), "a"));
    }
    let refused = UserError::TooManyExternalIdentities { max: User::EXTERNAL_IDENTITIES_MAX };
    given(events).when(link(100, ACME, "a")).then_expect_error(refused);
}

#[test]
fn the_only_way_in_stays() {
    let unlinked = |number| UserEvent::ExternalIdentityUnlinked { external_identity_id: id(number) };
    let alone = vec![registered(None), linked(7, ACME, "a")];
    given(alone.clone()).when(unlink(7)).then_expect_error(UserError::OnlyWayIn);
    given(alone.clone()).when(unlink(8)).then_expect_error(UserError::NoSuchExternalIdentity);
    let two = vec![registered(None), linked(7, ACME, "a"), linked(8, OTHER, "a")];
    given(two.clone()).when(unlink(7)).then_expect_events(vec![unlinked(7)]);
    given([two, vec![unlinked(7)]].concat()).when(unlink(8)).then_expect_error(UserError::OnlyWayIn);
    let changed = UserEvent::PasswordChanged {
        password: Secret::new(User::secrets(USER), "new".to_string()),
        session_epoch: 1,
        kept_session: None,
    };
    given([alone, vec![changed]].concat()).when(unlink(7)).then_expect_events(vec![unlinked(7)]);
}

#[test]
fn who_comes_from_elsewhere_has_no_password_and_a_verified_address() {
    let mut user = User::default();
    user.apply(registered(None));
    assert!(!user.has_password() && user.is_active());
    given(vec![registered(None)])
        .when(UserCommand::AcceptEmail)
        .then_expect_events(vec![UserEvent::EmailVerified]);
    given(vec![registered(None), UserEvent::EmailVerified])
        .when(UserCommand::AcceptEmail)
        .then_expect_events(vec![]);
}

#[test]
fn an_event_without_a_password_does_not_write_one_and_reads_back() {
    let json = serde_json::to_value(registered(None)).expect("serializes");
    assert!(json.get("password").is_none(), "{json}");
    assert_eq!(serde_json::from_value::<UserEvent>(json).expect("decodes"), registered(None));
}
