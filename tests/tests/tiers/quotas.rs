//! Every limit: full to the last, refused beyond it, and what makes room.

use annals_tests::{Account, Answer, Method, StatusCode};
use chrono::{DateTime, Datelike as _, Months, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::support::{House, connect, exceeded, post, posts_in, used};

/// Noon of a day of the month after the next one: whenever the test runs, it lies ahead.
fn in_month(months: u32, day: u32) -> String {
    let today = Utc::now().date_naive();
    let first = NaiveDate::from_ymd_opt(today.year(), today.month(), 1).expect("is a day");
    let month = first.checked_add_months(Months::new(months)).expect("is a month");
    let noon = month.with_day(day).and_then(|day| day.and_hms_opt(12, 0, 0)).expect("is a time");
    DateTime::<Utc>::from_naive_utc_and_offset(noon, Utc).to_rfc3339_opts(SecondsFormat::Secs, true)
}

async fn write(account: &Account, body: Value) -> Answer {
    account.api.post("posts", body).await
}

#[tokio::test]
async fn channels_are_connected_up_to_the_limit_and_one_that_goes_makes_room() {
    let house = House::new().await;
    let bea = house.tenant("Bea", "small").await;
    let first = connect(&bea.api, "one").await.expect(StatusCode::CREATED).text_at("/data/id");
    connect(&bea.api, "two").await.expect(StatusCode::CREATED);
    let full = connect(&bea.api, "three").await;
    exceeded(&full, "channels", json!("medium"));
    assert_eq!((full.at("/quota/limit"), full.at("/quota/used")), (&json!(2), &json!(2)));
    assert_eq!((full.at("/quota/tier"), full.at("/quota/month")), (&json!("small"), &json!(null)));
    assert_eq!(
        full.at("/message"),
        "the tier small has 2 channels, and 2 are used; the tier medium has more"
    );
    // Another organization has its own; a disabled channel still is one.
    connect(&house.tenant("Cem", "small").await.api, "one").await.expect(StatusCode::CREATED);
    bea.api.post(&format!("integrations/{first}/disable"), json!({})).await.expect(StatusCode::OK);
    exceeded(&connect(&bea.api, "three").await, "channels", json!("medium"));
    bea.api.delete(&format!("integrations/{first}")).await.expect(StatusCode::OK);
    used(&bea, "channels", 1, Some(2)).await;
    connect(&bea.api, "three").await.expect(StatusCode::CREATED);
    // More room from the moment that a larger tier is set.
    exceeded(&connect(&bea.api, "four").await, "channels", json!("medium"));
    house.set(&bea.organization_id, "large").await;
    connect(&bea.api, "four").await.expect(StatusCode::CREATED);
    used(&bea, "channels", 3, None).await;
}

#[tokio::test]
async fn a_downgrade_takes_nothing_away_and_refuses_what_is_new() {
    let house = House::new().await;
    let bea = house.tenant("Bea", "large").await;
    let mut channels = Vec::new();
    for name in ["one", "two", "three", "four"] {
        channels.push(connect(&bea.api, name).await.expect(StatusCode::CREATED).text_at("/data/id"));
    }
    let at = in_month(2, 10);
    let mut posts = Vec::new();
    for _ in 0..5 {
        posts
            .push(write(&bea, post(&channels[0], &at)).await.expect(StatusCode::CREATED).text_at("/data/id"));
    }
    house.set(&bea.organization_id, "small").await;
    used(&bea, "channels", 4, Some(2)).await;
    posts_in(&bea, &at, 5).await;
    // All of it is there, and can be changed.
    let listed = bea.api.get("integrations").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/data/connected").as_array().map(Vec::len), Some(4));
    let mut changed = post(&channels[1], &at);
    changed["content"] = json!("hello again");
    bea.api.put(&format!("posts/{}", posts[0]), changed).await.expect(StatusCode::OK);
    // Within its month a post may be moved: it is no new one there.
    let other_day = in_month(2, 11);
    bea.api.put(&format!("posts/{}", posts[1]), post(&channels[0], &other_day)).await.expect(StatusCode::OK);
    let full = write(&bea, post(&channels[0], &at)).await;
    exceeded(&full, "posts_per_month", json!("medium"));
    assert_eq!((full.at("/quota/used"), full.at("/quota/month")), (&json!(5), &json!(&at[..7])));
    exceeded(&connect(&bea.api, "five").await, "channels", json!("medium"));
    // There is room again only below the limit.
    for id in &posts[..2] {
        bea.api.delete(&format!("posts/{id}")).await.expect(StatusCode::OK);
    }
    exceeded(&write(&bea, post(&channels[0], &at)).await, "posts_per_month", json!("medium"));
    bea.api.delete(&format!("posts/{}", posts[2])).await.expect(StatusCode::OK);
    write(&bea, post(&channels[0], &at)).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn posts_count_in_the_month_that_they_are_due_in() {
    let house = House::new().await;
    let bea = house.tenant("Bea", "small").await;
    let channel = connect(&bea.api, "one").await.expect(StatusCode::CREATED).text_at("/data/id");
    let (month, next) = (in_month(2, 10), in_month(3, 10));
    let draft = json!({"content": "hello", "type": "draft"});
    let mut ids = Vec::new();
    for _ in 0..3 {
        write(&bea, draft.clone()).await.expect(StatusCode::CREATED);
        ids.push(write(&bea, post(&channel, &month)).await.expect(StatusCode::CREATED).text_at("/data/id"));
    }
    exceeded(&write(&bea, post(&channel, &month)).await, "posts_per_month", json!("medium"));
    // Another month has its own, and drafts are none; one at the full month is, once it is scheduled.
    let other = write(&bea, post(&channel, &next)).await.expect(StatusCode::CREATED).text_at("/data/id");
    let kept = write(&bea, draft).await.expect(StatusCode::CREATED).text_at("/data/id");
    exceeded(
        &bea.api.put(&format!("posts/{kept}"), post(&channel, &month)).await,
        "posts_per_month",
        json!("medium"),
    );
    exceeded(
        &bea.api.put(&format!("posts/{other}"), post(&channel, &month)).await,
        "posts_per_month",
        json!("medium"),
    );
    posts_in(&bea, &month, 3).await;
    posts_in(&bea, &next, 1).await;
    // Moved away, made a draft again, cancelled: each leaves its month.
    bea.api.put(&format!("posts/{}", ids[0]), post(&channel, &next)).await.expect(StatusCode::OK);
    posts_in(&bea, &month, 2).await;
    posts_in(&bea, &next, 2).await;
    let again = json!({"content": "hello", "type": "draft"});
    bea.api.put(&format!("posts/{}", ids[1]), again).await.expect(StatusCode::OK);
    bea.api.delete(&format!("posts/{}", ids[2])).await.expect(StatusCode::OK);
    posts_in(&bea, &month, 0).await;
    let usage = bea.api.get(&format!("agencies/{}/usage?month={}", bea.organization_id, &month[..7])).await;
    let resets_at = usage.expect(StatusCode::OK).at("/data/quotas/1/resetsAt").clone();
    assert_eq!(resets_at, json!(format!("{}-01T00:00:00Z", &next[..7])));
}

#[tokio::test]
async fn every_door_counts_a_recurring_post_each_time_and_postizs_clients() {
    let house = House::new().await;
    let bea = house.tenant("Bea", "small").await;
    let channel = connect(&bea.api, "one").await.expect(StatusCode::CREATED).text_at("/data/id");
    let at = in_month(2, 10);
    let mut series = post(&channel, &at);
    series["recurrence"] = json!("FREQ=DAILY;COUNT=4");
    exceeded(&write(&bea, series.clone()).await, "posts_per_month", json!("medium"));
    posts_in(&bea, &at, 0).await;
    series["recurrence"] = json!("FREQ=DAILY;COUNT=3");
    write(&bea, series).await.expect(StatusCode::CREATED);
    posts_in(&bea, &at, 3).await;
    let key = bea.api.post("settings/api-keys", json!({"name": "CI"})).await.expect(StatusCode::CREATED);
    let key = house.server.api().with_token(&key.text_at("/data/key"));
    let body =
        json!({"content": "hello", "scheduledAt": at, "type": "schedule", "integrations": [{"id": channel}]});
    exceeded(&key.post("public/integrations/post", body).await, "posts_per_month", json!("medium"));
    let theirs = json!({
        "type": "schedule", "date": at, "shortLink": false, "tags": [],
        "posts": [{"integration": {"id": channel}, "value": [{"content": "hello", "image": []}], "settings": {"__type": "feed"}}],
    });
    let refused = annals_tests::Api::send(key.request(Method::POST, "/public/v1/posts").json(&theirs)).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert!(refused.text.contains("the tier small has 3 posts a month"), "{}", refused.text);
}

#[tokio::test]
async fn members_keys_and_media_have_limits_of_their_own() {
    let house = House::new().await;
    let bea = house.tenant("Bea", "small").await;
    let invite = |name: &str| json!({"email": format!("{name}@example.org"), "role": "user"});
    let path = format!("agencies/{}/invite", bea.organization_id);
    let first = bea.api.post(&path, invite("one")).await.expect(StatusCode::CREATED).text_at("/data/id");
    exceeded(&bea.api.post(&path, invite("two")).await, "members", json!("medium"));
    used(&bea, "members", 2, Some(2)).await;
    let open = format!("agencies/{}/invitations/{first}", bea.organization_id);
    bea.api.delete(&open).await.expect(StatusCode::OK);
    bea.member("user").await;
    used(&bea, "members", 2, Some(2)).await;
    exceeded(&bea.api.post(&path, invite("two")).await, "members", json!("medium"));

    let key = json!({"name": "CI"});
    let made = bea.api.post("settings/api-keys", key.clone()).await.expect(StatusCode::CREATED);
    exceeded(&bea.api.post("settings/api-keys", key.clone()).await, "api_keys", json!("large"));
    let path = format!("settings/api-keys/{}", made.text_at("/data/id"));
    bea.api.delete(&path).await.expect(StatusCode::OK);
    bea.api.post("settings/api-keys", key).await.expect(StatusCode::CREATED);

    let image = include_bytes!("../../fixtures/squares.png");
    let size = image.len() as u64;
    let upload = async |mark: u8| {
        let head = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n";
        let body = [head.as_slice(), image, &[mark], b"\r\n--x--\r\n"].concat();
        let request = bea.api.request(Method::POST, "media/upload");
        annals_tests::Api::send(request.header("content-type", "multipart/form-data; boundary=x").body(body))
            .await
    };
    let fit = u8::try_from(100_000 / (size + 1)).expect("a few");
    for mark in 0..fit {
        upload(mark).await.expect(StatusCode::CREATED);
    }
    exceeded(&upload(fit).await, "media_bytes", json!("medium"));
    used(&bea, "media_bytes", u64::from(fit) * (size + 1), Some(100_000)).await;
}
