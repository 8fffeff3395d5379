//! Bad input, by the field's name, and what is not there.

use annals_tests::StatusCode;
use serde_json::{Value, json};

use crate::support::{operated, recorded};

#[tokio::test]
async fn bad_input_is_refused_by_name_and_nothing_is_recorded() {
    let (server, ada) = operated().await;
    let long = "x".repeat(501);
    let rebuild = "admin/projections/tags/rebuild";
    let timer = "admin/timers/00000000-0000-0000-0000-000000000001/retry";
    for path in [rebuild, "admin/projections/tags/parked/replay", timer] {
        for reason in [
            json!(null),
            json!(7),
            json!(""),
            json!("  "),
            json!(long),
            json!("two\nlines"),
            json!("nul\u{0}"),
        ] {
            let answer = ada.api.post(path, json!({"reason": reason})).await;
            answer.expect_field(StatusCode::BAD_REQUEST, "reason");
        }
        ada.api.post(path, json!({})).await.expect_field(StatusCode::BAD_REQUEST, "reason");
        let unknown = json!({"reason": "why not", "because": "x"});
        ada.api.post(path, unknown).await.expect_field(StatusCode::BAD_REQUEST, "because");
    }
    for pace in [json!(0), json!(-1), json!(1_000_001), json!(1.5), json!("fast"), json!(u64::MAX)] {
        let body = json!({"reason": "slowly", "eventsPerSecond": pace});
        ada.api.post(rebuild, body.clone()).await.expect_field(StatusCode::BAD_REQUEST, "eventsPerSecond");
        ada.api.patch(rebuild, body).await.expect_field(StatusCode::BAD_REQUEST, "eventsPerSecond");
    }
    let body = json!({"reason": "no pace given"});
    ada.api.patch(rebuild, body).await.expect_field(StatusCode::BAD_REQUEST, "eventsPerSecond");
    let body = json!({"reason": "a long key", "key": "k".repeat(1_001)});
    let replay = "admin/projections/tags/parked/replay";
    ada.api.post(replay, body).await.expect_field(StatusCode::BAD_REQUEST, "key");

    for (query, field) in [
        ("state=asleep", "state"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
        ("organizationId=x", "organizationId"),
        ("kinds=x", "kinds"),
    ] {
        let answer = ada.api.get(&format!("admin/timers?{query}")).await;
        answer.expect_field(StatusCode::BAD_REQUEST, field);
    }
    let kind = "k".repeat(101);
    ada.api.get(&format!("admin/timers?kind={kind}")).await.expect_field(StatusCode::BAD_REQUEST, "kind");
    let parked = ada.api.get("admin/projections/tags/parked?cursor=1.2").await;
    parked.expect_field(StatusCode::BAD_REQUEST, "cursor");

    let why: Value = json!({"reason": "it is not there"});
    ada.api.get("admin/projections/nothing").await.expect(StatusCode::NOT_FOUND);
    ada.api.get("admin/projections/nothing/parked").await.expect(StatusCode::NOT_FOUND);
    for path in [
        "admin/projections/nothing/rebuild",
        "admin/projections/nothing/rebuild/pause",
        "admin/projections/nothing/parked/replay",
        "admin/timers/nothing/retry",
        timer,
    ] {
        ada.api.post(path, why.clone()).await.expect(StatusCode::NOT_FOUND);
    }
    for action in ["pause", "resume", "cancel", "accept"] {
        let answer = ada.api.post(&format!("{rebuild}/{action}"), why.clone()).await;
        assert_eq!(answer.expect(StatusCode::CONFLICT).at("/code"), "NO_REBUILD_UNDER_WAY");
    }
    assert_eq!(recorded(&server).await, [], "nothing was done");
}
