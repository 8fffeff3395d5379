use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::test::TestFramework;
use uuid::Uuid;

use super::*;

const SESSION: SessionId = SessionId::new(Uuid::from_u128(1));
const USER: UserId = UserId::new(Uuid::from_u128(2));
const ORGANIZATION: OrganizationId = OrganizationId::new(Uuid::from_u128(3));

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("is a time")
}

fn token(text: &str) -> Secret<String> {
    Secret::new(Session::secrets(SESSION), text.to_string())
}

fn opened() -> SessionEvent {
    SessionEvent::Opened {
        session_id: SESSION,
        user_id: USER,
        organization_id: ORGANIZATION,
        epoch: 4,
        token: token("first"),
        expires_at: now() + TimeDelta::days(30),
    }
}

fn refreshed() -> SessionEvent {
    SessionEvent::Refreshed { generation: 1, token: token("second"), expires_at: now() + TimeDelta::days(30) }
}

fn refresh(presented: &str, now: DateTime<Utc>) -> SessionCommand {
    SessionCommand::Refresh {
        presented_digest: presented.to_string(),
        new_digest: "second".to_string(),
        organization_id: ORGANIZATION,
        now,
    }
}

fn given(events: Vec<SessionEvent>) -> cqrs_es::test::AggregateTestExecutor<Session> {
    TestFramework::<Session>::with(()).given(events)
}

#[test]
fn a_session_opens_once() {
    let open = SessionCommand::Open {
        session_id: SESSION,
        user_id: USER,
        organization_id: ORGANIZATION,
        epoch: 4,
        token_digest: "first".to_string(),
        now: now(),
    };
    given(vec![]).when(open.clone()).then_expect_events(vec![opened()]);
    given(vec![opened()]).when(open).then_expect_error(SessionError::AlreadyOpen);
}

#[test]
fn the_current_token_is_exchanged_for_the_next() {
    given(vec![opened()]).when(refresh("first", now())).then_expect_events(vec![refreshed()]);
}

#[test]
fn a_token_used_twice_ends_the_family() {
    let revoked = SessionEvent::Revoked { reason: RevokedBecause::TokenReused };
    given(vec![opened(), refreshed()])
        .when(refresh("first", now()))
        .then_expect_events(vec![revoked.clone()]);
    given(vec![opened(), refreshed(), revoked])
        .when(refresh("second", now()))
        .then_expect_error(SessionError::Ended);
}

#[test]
fn a_session_ends_thirty_days_after_its_last_refresh() {
    let last_moment = now() + TimeDelta::days(30) - TimeDelta::seconds(1);
    assert_eq!(
        given(vec![opened()]).when(refresh("first", last_moment)).inspect_result().map(|events| events.len()),
        Ok(1)
    );
    given(vec![opened()])
        .when(refresh("first", now() + TimeDelta::days(30)))
        .then_expect_error(SessionError::Ended);
}

#[test]
fn switching_gives_a_new_token_for_the_other_organization() {
    let organization_id = OrganizationId::new(Uuid::from_u128(9));
    let switch =
        SessionCommand::SwitchOrganization { organization_id, new_digest: "second".to_string(), now: now() };
    given(vec![opened()])
        .when(switch)
        .then_expect_events(vec![SessionEvent::OrganizationSwitched { organization_id }, refreshed()]);
}

#[test]
fn ending_what_has_ended_is_fine() {
    let revoke = SessionCommand::Revoke { reason: RevokedBecause::LoggedOut };
    let revoked = SessionEvent::Revoked { reason: RevokedBecause::LoggedOut };
    given(vec![opened()]).when(revoke.clone()).then_expect_events(vec![revoked.clone()]);
    given(vec![opened(), revoked]).when(revoke.clone()).then_expect_events(vec![]);
    given(vec![]).when(revoke).then_expect_events(vec![]);
}
