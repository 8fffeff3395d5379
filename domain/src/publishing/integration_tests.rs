use cqrs_es::test::TestFramework;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::kernel::IntegrationId;

fn framework() -> TestFramework<Integration> {
    TestFramework::with(())
}

fn id() -> IntegrationId {
    IntegrationId::new(Uuid::from_u128(1))
}

fn now() -> DateTime<Utc> {
    "2026-05-01T09:00:00Z".parse().unwrap()
}

fn account() -> Account {
    Account {
        remote_id: "did:plc:ada".to_string(),
        name: "Ada".to_string(),
        handle: Some("@ada.test".to_string()),
        url: None,
        picture: None,
    }
}

fn secret(password: &str) -> Secret<Value> {
    Secret::new(id(), json!({ "password": password }))
}

fn connect() -> IntegrationCommand {
    IntegrationCommand::Connect {
        organization: OrganizationId::default(),
        platform: "bluesky".to_string(),
        account: account(),
        credentials: secret("one"),
        by: UserId::default(),
        now: now(),
    }
}

fn connected() -> IntegrationEvent {
    IntegrationEvent::Connected {
        organization_id: OrganizationId::default(),
        platform: "bluesky".to_string(),
        account: account(),
        credentials: secret("one"),
        connected_by: UserId::default(),
        at: now(),
    }
}

#[test]
fn a_channel_is_connected_once() {
    framework().given_no_previous_events().when(connect()).then_expect_events(vec![connected()]);
    framework()
        .given(vec![connected()])
        .when(connect())
        .then_expect_error(IntegrationError::AlreadyConnected);
}

#[test]
fn nothing_happens_to_a_channel_that_is_not_there() {
    let disconnected = vec![connected(), IntegrationEvent::Disconnected { at: now() }];
    for given in [Vec::new(), disconnected] {
        for command in [
            IntegrationCommand::Enable,
            IntegrationCommand::Disable,
            IntegrationCommand::Disconnect { now: now() },
            IntegrationCommand::Rename { name: Label::parse("x").unwrap() },
            IntegrationCommand::RefreshCredentials { credentials: secret("two"), now: now() },
        ] {
            framework().given(given.clone()).when(command).then_expect_error(IntegrationError::NotFound);
        }
    }
}

#[test]
fn a_disconnected_channel_holds_no_credentials() {
    let mut channel = Integration::default();
    channel.apply(connected());
    assert_eq!(channel.credentials(), Some(&json!({"password": "one"})));
    channel.apply(IntegrationEvent::Disconnected { at: now() });
    assert_eq!(channel.credentials(), None);
    assert!(!channel.exists());
}

#[test]
fn a_refresh_that_answers_nothing_does_not_overwrite_good_credentials() {
    for nothing in [Secret::new(id(), Value::Null), secret("two").erased()] {
        framework()
            .given(vec![connected()])
            .when(IntegrationCommand::RefreshCredentials { credentials: nothing, now: now() })
            .then_expect_error(IntegrationError::NoCredentials);
    }
    framework()
        .given(vec![connected()])
        .when(IntegrationCommand::RefreshCredentials { credentials: secret("one"), now: now() })
        .then_expect_events(Vec::new());
    framework()
        .given(vec![connected()])
        .when(IntegrationCommand::RefreshCredentials { credentials: secret("two"), now: now() })
        .then_expect_events(vec![IntegrationEvent::CredentialsRefreshed {
            credentials: secret("two"),
            at: now(),
        }]);
}

#[test]
fn an_expired_channel_lives_again_only_by_connecting_the_same_account() {
    let lost = IntegrationEvent::AccessLost { reason: "the password was changed".to_string(), at: now() };
    let given = vec![connected(), lost];
    framework()
        .given(given.clone())
        .when(IntegrationCommand::Enable)
        .then_expect_error(IntegrationError::Expired);
    framework()
        .given(given.clone())
        .when(IntegrationCommand::LoseAccess { reason: "again".to_string(), now: now() })
        .then_expect_events(Vec::new());
    let reconnect = |account: Account| IntegrationCommand::Reconnect {
        account,
        credentials: secret("two"),
        by: UserId::default(),
        now: now(),
    };
    let other = Account { remote_id: "did:plc:bob".to_string(), ..account() };
    framework().given(given.clone()).when(reconnect(other)).then_expect_error(IntegrationError::OtherAccount);
    framework().given(given).when(reconnect(account())).then_expect_events(vec![
        IntegrationEvent::Reconnected {
            account: account(),
            credentials: secret("two"),
            connected_by: UserId::default(),
            at: now(),
        },
    ]);
}

#[test]
fn what_is_so_already_changes_nothing() {
    let disabled = vec![connected(), IntegrationEvent::Disabled {}];
    for (given, command) in [
        (vec![connected()], IntegrationCommand::Enable),
        (disabled, IntegrationCommand::Disable),
        (vec![connected()], IntegrationCommand::Rename { name: Label::parse("Ada").unwrap() }),
        (vec![connected()], IntegrationCommand::Group { group: None, customer: None }),
    ] {
        framework().given(given).when(command).then_expect_events(Vec::new());
    }
}

#[test]
fn a_channel_is_switched_off_and_on_renamed_and_grouped() {
    let label = |text: &str| Label::parse(text).unwrap();
    for (given, command, then) in [
        (vec![connected()], IntegrationCommand::Disable, IntegrationEvent::Disabled {}),
        (
            vec![connected(), IntegrationEvent::Disabled {}],
            IntegrationCommand::Enable,
            IntegrationEvent::Enabled {},
        ),
        (
            vec![connected()],
            IntegrationCommand::Rename { name: label("News") },
            IntegrationEvent::Renamed { name: label("News") },
        ),
        (
            vec![connected()],
            IntegrationCommand::Group { group: Some(label("EU")), customer: Some(label("Acme")) },
            IntegrationEvent::Grouped { group: Some(label("EU")), customer: Some(label("Acme")) },
        ),
    ] {
        framework().given(given).when(command).then_expect_events(vec![then]);
    }
}
