//! Every event version ever shipped has a committed sample: its JSON can't change by accident.
//!
//! A new event writes its sample when the test runs with `ANNALS_WRITE_SAMPLES=1`; a sample that
//! stands is never rewritten: a changed event is a new version with an upcaster.

use std::{fs, path::PathBuf};

use chrono::{DateTime, TimeZone as _, Utc};
use cqrs_es::DomainEvent;
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::{kernel::*, operations::Reason};

fn at() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 29, 1, 30, 0).single().expect("is a time")
}

fn id<T: From<Uuid>>(number: u128) -> T {
    T::from(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + number))
}

fn secret(owner: &str) -> Secret<String> {
    Secret::new(Owner::of(owner, "sample"), "sample".to_string())
}

fn email() -> Personal<EmailAddress> {
    Personal::new(id::<UserId>(1), EmailAddress::parse("ada@example.org").expect("is an address"))
}

fn profile() -> Personal<Profile> {
    let profile = Profile {
        name: PersonName::parse("Ada Lovelace").expect("is a name"),
        company: CompanyName::parse("Analytical Engines").ok(),
        phone: PhoneNumber::parse("+44 20 123456").ok(),
        avatar_url: PictureUrl::parse("https://example.org/ada.png").ok(),
    };
    Personal::new(id::<UserId>(1), profile)
}

fn settings() -> Personal<UserSettings> {
    let preferences = serde_json::json!({"theme": "dark", "columns": [1, 2.5], "newsletter": false});
    let settings = UserSettings {
        timezone: TimeZone::parse("Europe/London").expect("is a zone"),
        locale: Locale::parse("en-GB").expect("is a locale"),
        preferences: Preferences::parse(preferences.as_object().cloned().unwrap_or_default()).expect("fits"),
    };
    Personal::new(id::<UserId>(1), settings)
}

fn users() -> Vec<UserEvent> {
    let kept_session = Some(id(3));
    vec![
        UserEvent::Registered {
            user_id: id(1),
            email: email(),
            profile: profile(),
            settings: settings(),
            password: Some(secret("user-secret")),
        },
        UserEvent::ProfileChanged { profile: profile() },
        UserEvent::SettingsChanged { settings: settings() },
        UserEvent::PasswordChanged { password: secret("user-secret"), session_epoch: 1, kept_session },
        UserEvent::SessionsRevoked { session_epoch: 2, kept_session: None },
        UserEvent::EmailChangeRequested {
            address: email(),
            token: secret("user-secret"),
            request_id: id(4),
            expires_at: at(),
        },
        UserEvent::EmailChanged { email: email() },
        UserEvent::EmailVerificationRequested {
            token: secret("user-secret"),
            request_id: id(4),
            occasion: VerificationOccasion::Registration,
            expires_at: at(),
        },
        UserEvent::EmailVerified,
        UserEvent::PasswordResetRequested {
            token: secret("user-secret"),
            request_id: id(4),
            expires_at: at(),
        },
        UserEvent::ExternalIdentityLinked {
            external_identity_id: id(9),
            provider: ProviderName::parse("google").expect("is a name"),
            issuer: Issuer::parse("https://accounts.google.com").expect("is an issuer"),
            account: Personal::new(
                id::<UserId>(1),
                ExternalAccount {
                    subject: ExternalSubject::parse("110169484474386276334").expect("is one"),
                    email: EmailAddress::parse("ada@example.org").ok(),
                },
            ),
        },
        UserEvent::ExternalIdentityUnlinked { external_identity_id: id(9) },
        UserEvent::OrganizationJoined { organization_id: id(2) },
        UserEvent::OrganizationLeft { organization_id: id(2) },
        UserEvent::ApiKeyAdded { api_key_id: id(5) },
        UserEvent::ApiKeyRemoved { api_key_id: id(5) },
        UserEvent::OperatorGranted,
        UserEvent::OperatorRevoked,
        UserEvent::Deleted,
    ]
}

fn sessions() -> Vec<SessionEvent> {
    vec![
        SessionEvent::Opened {
            session_id: id(3),
            user_id: id(1),
            organization_id: id(2),
            epoch: 0,
            token: secret("session"),
            expires_at: at(),
        },
        SessionEvent::Refreshed { generation: 1, token: secret("session"), expires_at: at() },
        SessionEvent::OrganizationSwitched { organization_id: id(6) },
        SessionEvent::Revoked { reason: session::RevokedBecause::TokenReused },
    ]
}

fn organizations() -> Vec<OrganizationEvent> {
    let mut settings = OrganizationSettings::named(OrganizationName::parse("Engines").expect("is a name"));
    let (user_id, invitation_id) = (id(7), id(8));
    let created =
        OrganizationEvent::Created { organization_id: id(2), settings: settings.clone(), owner: id(1) };
    settings.description = OrganizationDescription::parse("We compute.").ok();
    vec![
        created,
        OrganizationEvent::SettingsChanged { settings },
        OrganizationEvent::MemberInvited {
            invitation_id,
            email: Personal::new(
                Subject::invitation(invitation_id),
                EmailAddress::parse("babbage@example.org").expect("is an address"),
            ),
            role: Role::User,
            token: secret("organization-invitation"),
            invited_by: id(1),
            expires_at: at(),
        },
        OrganizationEvent::InvitationAccepted { invitation_id, user_id, role: Role::User },
        OrganizationEvent::InvitationRevoked { invitation_id, revoked_by: id(1) },
        OrganizationEvent::InvitationExpired { invitation_id },
        OrganizationEvent::MemberRoleChanged { user_id, role: Role::Auditor, changed_by: id(1) },
        OrganizationEvent::MemberRemoved { user_id, removed_by: id(1) },
        OrganizationEvent::MemberLeft { user_id },
        OrganizationEvent::OwnershipTransferred { from: id(1), to: user_id },
        OrganizationEvent::TierSet {
            tier: TierName::parse("pro").expect("is a name"),
            reason: Reason::parse("they asked for it").ok(),
            by: Some(id(1)),
        },
        OrganizationEvent::Closed,
    ]
}

fn holdings() -> Vec<HoldingsEvent> {
    vec![
        HoldingsEvent::ChannelAdded { channel_id: id(9) },
        HoldingsEvent::ChannelRemoved { channel_id: id(9) },
        HoldingsEvent::ApiKeyAdded { api_key_id: id(5) },
        HoldingsEvent::ApiKeyRemoved { api_key_id: id(5) },
    ]
}

fn api_keys() -> Vec<ApiKeyEvent> {
    vec![
        ApiKeyEvent::Created {
            api_key_id: id(5),
            user_id: id(1),
            organization_id: id(2),
            name: Personal::new(id::<UserId>(1), ApiKeyName::parse("CI").expect("is a name")),
            scopes: vec![Scope::parse("posts:read").expect("is a scope")],
            digest: secret("api_key"),
        },
        ApiKeyEvent::Used { at: at() },
        ApiKeyEvent::Revoked,
    ]
}

/// The same with every sealed value gone.
fn erased(mut json: Value) -> Value {
    match &mut json {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                if key == "$personal" || key == "$secret" {
                    value["value"] = Value::Null;
                } else {
                    *value = erased(value.take());
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = erased(item.take())),
        _ => {}
    }
    json
}

fn check<E: DomainEvent>(samples: &[E], types: &[&str]) {
    let mut seen: Vec<String> = Vec::new();
    for sample in samples {
        let json = serde_json::to_value(sample).expect("serializes");
        let (aggregate, tag) = sample
            .event_type()
            .rsplit_once('.')
            .map(|(a, t)| (a.to_string(), t.to_string()))
            .expect("is dotted");
        assert_eq!(json["type"], tag.as_str(), "tag and type name agree");
        let name = format!("{}.{tag}.v{}", aggregate.trim_start_matches("identity."), sample.event_version());
        let open = serde_json::to_string_pretty(sample).expect("serializes");
        stands::<E>(&name, &open);
        if open.contains("\"$personal\"") || open.contains("\"$secret\"") {
            // By way of the type, so that the order of fields is the type's.
            let event: E = serde_json::from_value(erased(json)).expect("an erased value decodes");
            stands::<E>(
                &format!("{name}.erased"),
                &serde_json::to_string_pretty(&event).expect("serializes"),
            );
        }
        seen.push(sample.event_type());
    }
    assert_eq!(seen, types, "every type has a sample");
}

/// The committed sample is what the type writes, and what it reads back unchanged.
fn stands<E: DomainEvent>(name: &str, expected: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("samples/identity/{name}.json"));
    if !path.exists() && std::env::var_os("ANNALS_WRITE_SAMPLES").is_some() {
        fs::write(&path, format!("{expected}\n")).expect("is written");
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{name} has no committed sample"));
    assert_eq!(text.trim_end(), expected, "{name}: the event's JSON changed");
    let event: E = serde_json::from_str(&text).expect("the sample decodes");
    assert_eq!(serde_json::to_string_pretty(&event).expect("serializes"), text.trim_end(), "{name}");
}

#[test]
fn users_events_stand_as_committed() {
    check(&users(), UserEvent::TYPES);
}

#[test]
fn sessions_events_stand_as_committed() {
    check(&sessions(), SessionEvent::TYPES);
}

#[test]
fn organizations_events_stand_as_committed() {
    check(&organizations(), OrganizationEvent::TYPES);
}

#[test]
fn holdings_events_stand_as_committed() {
    check(&holdings(), HoldingsEvent::TYPES);
}

#[test]
fn api_keys_events_stand_as_committed() {
    check(&api_keys(), ApiKeyEvent::TYPES);
}
