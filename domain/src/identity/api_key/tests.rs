use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::test::TestFramework;
use uuid::Uuid;

use super::*;
use crate::identity::ApiKeyName;

const KEY: ApiKeyId = ApiKeyId::new(Uuid::from_u128(1));
const USER: UserId = UserId::new(Uuid::from_u128(2));
const ORGANIZATION: OrganizationId = OrganizationId::new(Uuid::from_u128(3));

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("is a time")
}

fn scopes(texts: &[&str]) -> Vec<Scope> {
    texts.iter().map(|text| Scope::parse(text).expect("is a scope")).collect()
}

fn create(scopes: Vec<Scope>) -> ApiKeyCommand {
    ApiKeyCommand::Create {
        api_key_id: KEY,
        user_id: USER,
        organization_id: ORGANIZATION,
        name: ApiKeyName::parse("CI").expect("is a name"),
        scopes,
        digest: "digest".to_string(),
    }
}

fn created() -> ApiKeyEvent {
    ApiKeyEvent::Created {
        api_key_id: KEY,
        user_id: USER,
        organization_id: ORGANIZATION,
        name: Personal::new(USER, ApiKeyName::parse("CI").expect("is a name")),
        scopes: scopes(&["posts:create", "posts:read"]),
        digest: Secret::new(ApiKey::secrets(KEY), "digest".to_string()),
    }
}

fn given(events: Vec<ApiKeyEvent>) -> cqrs_es::test::AggregateTestExecutor<ApiKey> {
    TestFramework::<ApiKey>::with(()).given(events)
}

#[test]
fn scopes_are_kept_once_and_in_order() {
    given(vec![])
        .when(create(scopes(&["posts:read", "posts:create", "posts:read"])))
        .then_expect_events(vec![created()]);
    given(vec![created()]).when(create(vec![])).then_expect_error(ApiKeyError::AlreadyCreated);
}

#[test]
fn use_is_noted_once_an_hour() {
    let used = ApiKeyEvent::Used { at: now() };
    let use_at = |now| ApiKeyCommand::NoteUse { now };
    given(vec![created()]).when(use_at(now())).then_expect_events(vec![used.clone()]);
    let soon = now() + TimeDelta::minutes(59);
    given(vec![created(), used.clone()]).when(use_at(soon)).then_expect_events(vec![]);
    let later = now() + TimeDelta::minutes(60);
    given(vec![created(), used])
        .when(use_at(later))
        .then_expect_events(vec![ApiKeyEvent::Used { at: later }]);
}

#[test]
fn a_revoked_key_is_not_used_and_has_no_digest() {
    given(vec![created(), ApiKeyEvent::Revoked])
        .when(ApiKeyCommand::NoteUse { now: now() })
        .then_expect_events(vec![]);
    let mut key = ApiKey::default();
    key.apply(created());
    assert_eq!(key.digest(), Some("digest"));
    key.apply(ApiKeyEvent::Revoked);
    assert_eq!((key.is_active(), key.digest()), (false, None));
}

#[test]
fn only_its_creator_revokes_a_key() {
    given(vec![created()])
        .when(ApiKeyCommand::Revoke { by: UserId::new(Uuid::from_u128(66)) })
        .then_expect_error(ApiKeyError::NotFound);
    given(vec![created()])
        .when(ApiKeyCommand::Revoke { by: USER })
        .then_expect_events(vec![ApiKeyEvent::Revoked]);
    given(vec![created(), ApiKeyEvent::Revoked])
        .when(ApiKeyCommand::Revoke { by: USER })
        .then_expect_events(vec![]);
    given(vec![]).when(ApiKeyCommand::Revoke { by: USER }).then_expect_error(ApiKeyError::NotFound);
}
