//! Limits of a tier, decided on what counts: by the clock, on stale nodes, and with what was there before.

mod platform;
mod support;

use std::{sync::Arc, time::Duration};

use annals_commands::{
    bus::CommandError,
    identity::HoldingsKeeper,
    ports::social::IdempotencyKind,
    process::ProcessManagers,
    publishing::{Channels, Posts},
    tiers::{CallRates, Tier, Tiers},
};
use annals_domain::{
    identity::{Held, Holdings, Organization, OrganizationCommand, OrganizationName, OrganizationSettings},
    kernel::{IntegrationId, Month, Quota, Secret, TierName, TimeZone},
    publishing::{
        Integration, IntegrationCommand, PostingMonth,
        integration::Account,
        post::{Due, Plan},
    },
};
use chrono::TimeDelta;
use platform::Desk;
use serde_json::json;
use support::{context, eventually};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn name(name: &str) -> TierName {
    TierName::parse(name).expect("is a name")
}

fn tier(tier: &str, quotas: &[(Quota, u64)]) -> Tier {
    Tier {
        name: name(tier),
        title: tier.to_string(),
        quotas: quotas.iter().copied().collect(),
        calls: CallRates::default(),
    }
}

/// The first is the default.
fn tiers() -> Arc<Tiers> {
    let small = tier("small", &[(Quota::PostsPerMonth, 2), (Quota::Channels, 1)]);
    Arc::new(Tiers::new(vec![small, tier("large", &[])], Some("small")).expect("are tiers"))
}

fn code<T: std::fmt::Debug>(answer: Result<T, CommandError>) -> (&'static str, Option<String>) {
    match answer {
        Err(CommandError::Refused(refusal)) => {
            let month = refusal.quota().and_then(|quota| quota.month.clone());
            (refusal.code(), month.map(|month| month.as_str().to_string()))
        }
        other => panic!("expected a refusal: {other:?}"),
    }
}

#[tokio::test]
async fn a_month_that_is_full_ends_with_the_month_by_the_clock() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let posts = Posts::new(desk.bus.clone().with_tiers(tiers()), desk.platforms.clone());
    let channel = desk.connect().await;
    desk.clock
        .advance("2026-05-31T23:59:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap() - desk.bus.now());
    let mut now = desk.request("hello", &[channel], 0);
    now.plan = Plan::Publish(Due::Now(TimeZone::parse("Pacific/Auckland").unwrap()));
    let write = async || posts.create(&context(), desk.member, now.clone()).await;
    write().await.unwrap();
    write().await.unwrap();
    // In Auckland it is June already: the months are those of UTC.
    assert_eq!(code(write().await), ("QUOTA_EXCEEDED", Some("2026-05".to_string())));
    desk.clock.advance(TimeDelta::minutes(1));
    write().await.unwrap();
    let counted = async |month: &str| {
        let id = PostingMonth::id(desk.member.organization, &Month::parse(month).unwrap());
        desk.bus.load::<PostingMonth>(id).await.unwrap().state.posts()
    };
    assert_eq!((counted("2026-05").await, counted("2026-06").await), (2, 1));
}

#[tokio::test]
async fn what_a_larger_tier_counted_holds_against_a_smaller_one() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let bus = desk.bus.clone().with_tiers(tiers());
    let organization = desk.member.organization;
    let create = OrganizationCommand::Create {
        organization_id: organization,
        settings: OrganizationSettings::named(OrganizationName::parse("Engines").unwrap()),
        owner: desk.member.user,
    };
    bus.execute::<Organization>(&context(), "CreateOrganization", organization, create).await.unwrap();
    let set = async |tier: &str| {
        let command = OrganizationCommand::SetTier { tier: name(tier), reason: None, by: None };
        bus.execute::<Organization>(&context(), "SetTier", organization, command).await.unwrap();
    };
    set("large").await;
    let posts = Posts::new(bus.clone(), desk.platforms.clone());
    let channel = desk.connect().await;
    // Many at once do not wait for each other's count.
    let write = async || posts.create(&context(), desk.member, desk.request("hello", &[channel], 10)).await;
    let written = futures::future::join_all((0..20).map(|_| write())).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    // A node that has not heard of the downgrade yet decides by it all the same.
    let other = platform::node(&desk.database, &desk.clock).await.with_tiers(tiers());
    let elsewhere = Posts::new(other.clone(), desk.platforms.clone());
    elsewhere.create(&context(), desk.member, desk.request("hello", &[channel], 10)).await.unwrap();
    set("small").await;
    let there = elsewhere.create(&context(), desk.member, desk.request("hello", &[channel], 10)).await;
    assert_eq!(code(there), ("QUOTA_EXCEEDED", Some("2026-05".to_string())));
    let id = PostingMonth::id(organization, &Month::parse("2026-05").unwrap());
    assert_eq!(other.load::<PostingMonth>(id).await.unwrap().state.posts(), 21);
}

#[tokio::test]
async fn a_channel_of_before_anybody_counted_is_noted_and_counts() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let bus = desk.bus.clone().with_tiers(tiers());
    let organization = desk.member.organization;
    let old = |number: u128| IntegrationId::new(Uuid::from_u128(number));
    for number in [1, 2] {
        let account = Account {
            remote_id: format!("old {number}"),
            name: "Old".to_string(),
            handle: None,
            url: None,
            picture: None,
        };
        let connect = IntegrationCommand::Connect {
            organization,
            platform: "stage".to_string(),
            account,
            credentials: Secret::new(old(number), json!({"token": 1})),
            by: desk.member.user,
            now: bus.now(),
        };
        bus.execute::<Integration>(&context(), "ConnectChannel", old(number), connect).await.unwrap();
    }
    let disconnect = IntegrationCommand::Disconnect { now: bus.now() };
    bus.execute::<Integration>(&context(), "DisconnectChannel", old(2), disconnect).await.unwrap();

    let stop = CancellationToken::new();
    let managers = ProcessManagers::new(bus.clone()).with(HoldingsKeeper::new(bus.clone()));
    let running = managers.start(stop.clone()).await.unwrap();
    let holdings = async || bus.load::<Holdings>(organization).await.unwrap();
    eventually("the old channel counts", || async { holdings().await.state.has(Held::Channel(old(1))) })
        .await;
    let channels = Channels::new(bus.clone(), desk.platforms.clone());
    assert_eq!(code(channels.connect(&context(), desk.new_channel()).await), ("QUOTA_EXCEEDED", None));
    channels.disconnect(&context(), organization, old(1)).await.unwrap();
    let new = channels.connect(&context(), desk.new_channel()).await.unwrap().value.unwrap();
    // The manager comes by what is counted already, and by what is gone, and does nothing.
    eventually("the manager has seen all", || async {
        let head = bus.store().head().await.unwrap();
        let seen = annals_commands::process::checkpoints(bus.store().pool()).await.unwrap();
        seen.iter().any(|one| one.name == "identity.holdings" && one.position >= head)
    })
    .await;
    let state = holdings().await;
    assert!(state.state.has(Held::Channel(new)) && !state.state.has(Held::Channel(old(2))));
    assert_eq!(state.version, 3, "noted, removed, added");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(30), running.stopped()).await.unwrap();
}
