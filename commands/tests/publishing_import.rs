//! Imports on a real Postgres: a worker that dies anywhere is followed by one that doubles nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use std::time::Duration;

use annals_commands::{
    ports::social::IdempotencyKind,
    publishing::{ImportTimer, Imports},
    timers::{Fired, Timer, TimerHandler},
};
use annals_domain::{
    identity::{Organization, OrganizationCommand, OrganizationName, OrganizationSettings},
    kernel::{ImportId, IntegrationId},
    publishing::{
        Import, Post,
        import::{ImportRow, ImportStatus, RowContent, RowPlan},
        post::{Composition, Draft},
    },
};
use chrono::TimeDelta;
use platform::Desk;
use serde_json::json;
use support::context;
use uuid::Uuid;

/// A draft, for a channel or for none.
fn row(number: u32, channel: Option<IntegrationId>) -> ImportRow {
    let draft = Draft {
        content: format!("row {number}"),
        targets: channel.into_iter().map(Into::into).collect(),
        ..Draft::default()
    };
    let composition = Composition::parse(&draft).unwrap();
    let plan = RowPlan::Draft { schedule: None };
    ImportRow { number, content: RowContent::Post { composition, tags: vec!["Import".to_string()], plan } }
}

async fn found_organization(desk: &Desk) {
    let (organization_id, owner) = (desk.member.organization, desk.member.user);
    let settings = OrganizationSettings::named(OrganizationName::parse("Ada's").unwrap());
    let command = OrganizationCommand::Create { organization_id, settings, owner };
    desk.bus
        .execute::<Organization>(&context(), "CreateOrganization", organization_id, command)
        .await
        .unwrap();
}

async fn begun(desk: &Desk, rows: Vec<ImportRow>) -> ImportId {
    let (imports, organization) = (Imports::new(desk.bus.clone()), desk.member.organization);
    let id = Imports::id_of(organization, "", "a digest");
    let count = u32::try_from(rows.len()).unwrap();
    imports.open(&context(), desk.member, id, count).await.unwrap();
    for chunk in rows.chunks(50) {
        imports.receive(&context(), organization, id, chunk.to_vec()).await.unwrap();
    }
    imports.start(&context(), organization, id).await.unwrap();
    id
}

fn timer(desk: &Desk, id: ImportId) -> Timer {
    Timer {
        id: Uuid::now_v7(),
        kind: "publishing.import".to_string(),
        key: id.to_string(),
        due_at: desk.bus.now(),
        payload: json!({"import": id, "correlation": Uuid::nil()}),
        attempt: 1,
        caused_by: Uuid::nil(),
        organization_id: Some(desk.member.organization.uuid()),
        leased_until: desk.bus.now() + TimeDelta::seconds(20),
    }
}

async fn import(desk: &Desk, id: ImportId) -> Import {
    (*desk.bus.load::<Import>(id).await.unwrap().state).clone()
}

#[tokio::test]
async fn a_worker_that_dies_anywhere_is_followed_by_one_that_doubles_nothing() {
    const ROWS: u32 = 130;
    let desk = Desk::new(IdempotencyKind::None).await;
    found_organization(&desk).await;
    let id = begun(&desk, (1..=ROWS).map(|number| row(number, None)).collect()).await;
    let (worker, timer) = (ImportTimer::new(desk.posts.clone()), timer(&desk, id));
    let (mut deaths, mut lives_ms) = (Vec::new(), 5);
    loop {
        // Whatever it was doing is left as it is: appends on their way still arrive.
        match tokio::time::timeout(Duration::from_millis(lives_ms), worker.fire(&timer)).await {
            Err(_) => deaths.push(import(&desk, id).await.done()),
            Ok(Fired::Done) => break,
            Ok(Fired::Later { .. }) => {}
            Ok(other) => panic!("{other:?}"),
        }
        lives_ms += 7;
    }
    assert!(deaths.iter().any(|done| (1..ROWS).contains(done)), "it died in the middle: {deaths:?}");
    let import = import(&desk, id).await;
    assert_eq!((import.status(), import.written(), import.failed()), (ImportStatus::Completed, ROWS, 0));
    for number in 1..=ROWS {
        let post = Import::post_of(id, number);
        assert_eq!(desk.events(post).await, ["drafted"], "row {number}");
    }
    let drafted: i64 =
        sqlx::query_scalar("SELECT count(*) FROM events WHERE event_type = 'publishing.post.drafted'")
            .fetch_one(&desk.database.pool)
            .await
            .unwrap();
    assert_eq!(drafted, i64::from(ROWS));
}

#[tokio::test]
async fn a_row_that_can_not_be_written_says_why_and_holds_up_no_other() {
    let desk = Desk::new(IdempotencyKind::None).await;
    found_organization(&desk).await;
    let nowhere = IntegrationId::new(Uuid::now_v7());
    let id = begun(&desk, vec![row(1, None), row(2, Some(nowhere)), row(3, None)]).await;
    let fired = ImportTimer::new(desk.posts.clone()).fire(&timer(&desk, id)).await;
    assert!(matches!(fired, Fired::Done), "{fired:?}");
    let import = import(&desk, id).await;
    assert_eq!((import.status(), import.written(), import.failed()), (ImportStatus::Completed, 2, 1));
    assert!(!desk.bus.load::<Post>(Import::post_of(id, 2)).await.unwrap().state.exists());
}

#[tokio::test]
async fn an_import_of_somebody_who_is_no_member_is_cancelled() {
    let desk = Desk::new(IdempotencyKind::None).await;
    let id = begun(&desk, vec![row(1, None)]).await;
    let fired = ImportTimer::new(desk.posts.clone()).fire(&timer(&desk, id)).await;
    assert!(matches!(fired, Fired::Done), "{fired:?}");
    let import = import(&desk, id).await;
    assert_eq!((import.status(), import.done()), (ImportStatus::Cancelled, 0));
    assert!(!desk.bus.load::<Post>(Import::post_of(id, 1)).await.unwrap().state.exists());
}
