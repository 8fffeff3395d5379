//! What a server that speaks Mastodon's API counts, from its answer to ours.

use annals_tests::{Api, Server, StatusCode, eventually, mastodon};
use serde_json::{Value, json};

use crate::{
    mastodon::Owner,
    support::{PATIENCE, feed_channel, now, until, write},
};

/// Has what is next looked at now: nobody can wait for a quarter of an hour.
async fn look_now(server: &Server, channel: &str) {
    let pool = &server.database().expect("has one").pool;
    for statement in [
        "UPDATE process.figures SET due_at = now() - interval '1 minute' WHERE channel_id = $1::uuid",
        "UPDATE process.timers SET due_at = now() - interval '1 minute'
         WHERE kind = 'publishing.figures' AND key = $1",
    ] {
        sqlx::query(statement).bind(channel).execute(pool).await.expect("the tables can be written");
    }
}

/// Waits until a value of an answer is as it should be.
async fn shows(api: &Api, path: &str, pointer: &str, value: Value) -> Value {
    eventually(&format!("{path} has {value} at {pointer}"), PATIENCE, || async {
        let body = api.get(path).await.expect(StatusCode::OK).body;
        (body.pointer(pointer) == Some(&value)).then_some(body)
    })
    .await
}

/// Waits until the post is on the list of whom to ask about.
async fn watched(server: &Server, post: &str) {
    let pool = &server.database().expect("has one").pool;
    eventually("the post is watched", PATIENCE, || async {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM process.figures WHERE subject_id = $1::uuid")
                .bind(post)
                .fetch_one(pool)
                .await
                .expect("the table can be read");
        (count > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_server_counts_of_a_post_and_its_account_is_shown_and_what_it_does_not_give_is_null() {
    let Some(url) = mastodon("what_a_server_counts_of_a_post_and_its_account_is_shown") else { return };
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let (api, owner, fan) = (ada.api.clone(), Owner::new(&url).await, Owner::new(&url).await);
    let channel = owner.channel(&api, &server).await;
    let account = format!("analytics/integration/{channel}");
    let first = shows(&api, &account, "/data/state/status", json!("counted")).await;
    assert_eq!(first["data"]["account"]["followers"], 0, "looked at as soon as it is connected");
    assert_eq!(first["data"]["totals"]["followerGrowth"]["value"], Value::Null, "there was nothing before");

    let post = write(&api, now("Hello", &[&channel])).await;
    let published = until(&api, &post, "published").await;
    let remote = published.text_at("/data/integrations/0/remoteId");
    let statistics = format!("posts/{post}/statistics");
    let waiting = api.get(&statistics).await.expect(StatusCode::OK);
    assert_eq!(waiting.at("/data/integrations/0/state/status"), "waiting");
    assert_eq!(waiting.at("/data/totals/likes"), &Value::Null, "not known is not zero");

    fan.does(&format!("statuses/{remote}/favourite"), &[]).await;
    fan.does(&format!("statuses/{remote}/reblog"), &[]).await;
    fan.does("statuses", &[("status", "nice"), ("in_reply_to_id", &remote)]).await;
    fan.does(&format!("accounts/{}/follow", owner.id()), &[]).await;
    watched(&server, &post).await;
    look_now(&server, &channel).await;
    let counted = shows(&api, &statistics, "/data/totals/likes", json!(1)).await;
    let totals = &counted["data"]["totals"];
    assert_eq!(
        (&totals["shares"], &totals["comments"], &totals["engagements"]),
        (&json!(1), &json!(1), &json!(3))
    );
    for absent in ["impressions", "clicks", "engagementRate"] {
        assert_eq!(totals[absent], Value::Null, "{absent}");
    }
    assert_eq!(counted["data"]["integrations"][0]["state"]["status"], "counted");
    let given = json!(["likes", "comments", "shares"]);
    assert_eq!(counted["data"]["integrations"][0]["state"]["given"], given);
    let today = counted["data"]["series"].as_array().and_then(|series| series.last()).expect("has today");
    assert_eq!((&today["likes"], &today["impressions"]), (&json!(1), &Value::Null));

    let grown = shows(&api, &account, "/data/totals/followerGrowth/value", json!(1)).await;
    assert_eq!(grown["data"]["account"]["followers"], 1);
    assert_eq!(grown["data"]["totals"]["engagements"]["value"], 3);
    assert_eq!(grown["data"]["totals"]["engagementRateByFollowers"]["value"], 300.0);
    assert_eq!(grown["data"]["totals"]["published"]["value"], 1);
    let overview = api.get("analytics/overview").await.expect(StatusCode::OK);
    assert_eq!(overview.at("/data/figures/totals/likes/value"), 1);
    assert_eq!(overview.at("/data/figures/integrations/0/account/followers"), 1);
    let best = api.get("analytics/posts?sort=likes").await.expect(StatusCode::OK);
    assert_eq!((best.at("/data/0/id"), best.at("/meta/total")), (&json!(post), &json!(1)));
    let timeline = api.get("activity?limit=200").await.expect(StatusCode::OK);
    assert!(!timeline.text.contains("figures"), "the timeline is of what people do");

    // Built again, it says the same.
    let before = api.get(&statistics).await.expect(StatusCode::OK).body;
    let engagement = api.get("analytics/engagement").await.expect(StatusCode::OK).body;
    crate::rebuild::build_again(&server, "figures").await;
    assert_eq!(api.get(&statistics).await.expect(StatusCode::OK).body, before);
    assert_eq!(api.get("analytics/engagement").await.expect(StatusCode::OK).body, engagement);

    // Disconnected, it is asked no more, and what was counted stays with the post.
    api.delete(&format!("integrations/{channel}")).await.expect(StatusCode::OK);
    api.get(&account).await.expect(StatusCode::NOT_FOUND);
    let kept = api.get(&statistics).await.expect(StatusCode::OK);
    assert_eq!(kept.at("/data/totals/likes"), 1);
    let pool = &server.database().expect("has one").pool;
    eventually("nobody asks about it any more", PATIENCE, || async {
        let count: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM process.figures) +
                    (SELECT count(*) FROM process.timers WHERE kind = 'publishing.figures')",
        )
        .fetch_one(pool)
        .await
        .expect("the tables can be read");
        (count == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_platform_without_figures_is_said_to_have_none() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let channel = feed_channel(&api, "News").await;
    let post = write(&api, now("Hello", &[&channel])).await;
    until(&api, &post, "published").await;
    let shown = api.get(&format!("posts/{post}/statistics")).await.expect(StatusCode::OK);
    assert_eq!(shown.at("/data/integrations/0/state/status"), "unsupported");
    let shown = api.get(&format!("analytics/integration/{channel}")).await.expect(StatusCode::OK);
    assert_eq!(shown.at("/data/state/status"), "unsupported");
    assert_eq!(shown.at("/data/totals/likes/value"), &Value::Null);
    assert_eq!(shown.at("/data/totals/published/value"), 1, "what we know ourselves");
    let ranking = api.get("analytics/posts").await.expect(StatusCode::OK);
    assert_eq!(ranking.at("/data"), &json!([]));
}
