//! Posting times, and the next of them that is free.

use annals_tests::{Answer, Api, Server, StatusCode};
use chrono::{DateTime, Datelike, TimeDelta, TimeZone, Utc};
use chrono_tz::{Europe::Berlin, Tz};
use serde_json::{Value, json};

use crate::support::{draft, feed_channel, later, write};

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// This time of every day.
fn daily(time: &str) -> Vec<Value> {
    DAYS.iter().map(|day| json!({"weekday": day, "time": time})).collect()
}

fn date(answer: &Answer) -> DateTime<Utc> {
    answer.text_at("/data/date").parse().expect("is a time")
}

async fn slot(api: &Api, query: &str) -> DateTime<Utc> {
    date(&api.get(&format!("posts/find-slot{query}")).await.expect(StatusCode::OK))
}

/// The next time that the clocks of Berlin show this hour and minute, after a moment.
fn next(after: DateTime<Utc>, (hour, minute): (u32, u32)) -> DateTime<Utc> {
    let day = after.with_timezone(&Berlin).date_naive();
    let at = |day: chrono::NaiveDate| {
        let local = day.and_hms_opt(hour, minute, 0).expect("is a time");
        Berlin.from_local_datetime(&local).earliest().expect("no clock is set at noon").to_utc()
    };
    day.iter_days().map(at).find(|at| *at > after).expect("there is one")
}

#[tokio::test]
async fn the_next_free_time_is_that_of_the_channel_or_of_all() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let (news, blog) = (feed_channel(&api, "News").await, feed_channel(&api, "Blog").await);
    let usual = api.get("posting-times").await.expect(StatusCode::OK);
    assert_eq!((usual.at("/data/isDefault"), usual.at("/data/timezone")), (&json!(true), &json!("UTC")));
    assert_eq!(usual.at("/data/times").as_array().map(Vec::len), Some(21));
    let found = api.get("posts/find-slot").await.expect(StatusCode::OK);
    assert_eq!(found.at("/data/isDefault"), true);

    let times = json!({
        "timezone": "Europe/Berlin", "times": daily("12:30"),
        "channels": [{"id": blog, "times": daily("15:00")}],
    });
    let changed = api.put("posting-times", times.clone()).await.expect(StatusCode::OK);
    assert_eq!(
        (changed.at("/data/isDefault"), changed.at("/data/times/6/time")),
        (&json!(false), &json!("12:30"))
    );
    let read = api.get("posting-times").await.expect(StatusCode::OK);
    assert_eq!(read.at("/data"), changed.at("/data"));
    assert_eq!(read.headers["etag"], "\"1\"");
    api.put("posting-times", times).await.expect(StatusCode::OK);
    assert_eq!(api.get("posting-times").await.headers["etag"], "\"1\"", "nothing was changed");
    api.with_header("If-Match", "\"7\"").put("posting-times", json!({})).await.expect(StatusCode::CONFLICT);

    let (noon, afternoon) = (next(Utc::now(), (12, 30)), next(Utc::now(), (15, 0)));
    assert_eq!(slot(&api, "").await, noon);
    assert_eq!(slot(&api, &format!("?channel={news}")).await, noon);
    assert_eq!(slot(&api, &format!("/{blog}")).await, afternoon, "the channel has its own");

    write(&api, later("Lunch", &[&news], &noon.to_rfc3339())).await;
    let second = next(noon, (12, 30));
    assert_eq!(slot(&api, &format!("/{news}")).await, second);
    assert_eq!(slot(&api, "").await, second, "one channel has something due then");
    assert_eq!(slot(&api, &format!("/{blog}")).await, afternoon);
    let mut idea = draft("An idea for the day after");
    idea["scheduledAt"] = json!(second.to_rfc3339());
    write(&api, idea).await;
    assert_eq!(slot(&api, &format!("/{news}")).await, second, "a draft holds nothing");
    let third = next(second, (12, 30));
    let after = (second + TimeDelta::seconds(1)).format("%Y-%m-%dT%H:%M:%SZ");
    assert_eq!(slot(&api, &format!("/{news}?after={after}")).await, third);

    let key = api.post("settings/api-keys", json!({"name": "n8n", "scopes": ["post:read"]})).await;
    let postiz =
        server.api().with_header("Authorization", key.expect(StatusCode::CREATED).text_at("/data/key"));
    let found = postiz.get(&format!("/public/v1/find-slot/{news}")).await.expect(StatusCode::OK);
    assert_eq!(
        found.at("/date").as_str(),
        Some(second.format("%Y-%m-%dT%H:%M:%S.000Z").to_string().as_str())
    );
    assert_eq!(postiz.get("/public/v1/find-slot/x").await.status, StatusCode::NOT_FOUND);
}

/// The first Sunday in March or October, of next year, on which Berlin sets its clocks.
fn clocks_are_set(month: u32) -> chrono::NaiveDate {
    let year = Utc::now().year() + 1;
    let last = chrono::NaiveDate::from_ymd_opt(year, month, 31).expect("is a day");
    let days = std::iter::successors(Some(last), |day| day.pred_opt());
    days.into_iter().find(|day| day.weekday() == chrono::Weekday::Sun).expect("a month has a Sunday")
}

#[tokio::test]
async fn a_posting_time_stays_on_the_clock_when_the_clocks_are_set_either_way() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let times = json!({"timezone": "Europe/Berlin", "times": [
        {"weekday": "sunday", "time": "02:30"}, {"weekday": "sunday", "time": "09:00"},
    ]});
    api.put("posting-times", times).await.expect(StatusCode::OK);
    for (month, expected) in [(3, ["01:30", "07:00"]), (10, ["00:30", "08:00"])] {
        let day = clocks_are_set(month);
        let first = slot(&api, &format!("?after={day}&timezone=Europe/Berlin")).await;
        let after = (first + TimeDelta::minutes(1)).format("%Y-%m-%dT%H:%M:%SZ");
        let second = slot(&api, &format!("?after={after}")).await;
        let found = [first, second].map(|at| at.format("%H:%M").to_string());
        assert_eq!(found, expected, "in UTC, on {day}");
        let shown: DateTime<Tz> = second.with_timezone(&Berlin);
        assert_eq!((shown.date_naive(), shown.format("%H:%M").to_string()), (day, "09:00".to_string()));
    }
}

#[tokio::test]
async fn posting_times_are_refused_by_field_and_are_the_organizations_own() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let news = feed_channel(&ada.api, "News").await;
    let stranger = server.api().register("Eve").await;
    let theirs = feed_channel(&stranger.api, "Theirs").await;
    let good = daily("09:00");
    for (body, field) in [
        (json!({"timezone": "Mars", "times": good}), "timezone"),
        (json!({"times": []}), "times"),
        (json!({"times": [{"weekday": "moonday", "time": "09:00"}]}), "times[0].weekday"),
        (json!({"times": [{"weekday": "monday", "time": "25:00"}]}), "times[0].time"),
        (json!({"hours": []}), "hours"),
        (json!({"channels": [{"id": theirs, "times": good}]}), "channels[0].id"),
        (json!({"channels": [{"id": news, "times": good}, {"id": news, "times": good}]}), "channels[1].id"),
        (json!({"channels": [{"id": news, "times": good, "timezone": "x"}]}), "channels[0].timezone"),
    ] {
        ada.api.put("posting-times", body).await.expect_field(StatusCode::BAD_REQUEST, field);
    }
    for (query, field) in [
        ("?after=soon", "after"),
        ("?after=2399-01-01", "after"),
        ("?channel=x", "channel"),
        ("?when=1", "when"),
    ] {
        let answer = ada.api.get(&format!("posts/find-slot{query}")).await;
        answer.expect_field(StatusCode::BAD_REQUEST, field);
    }
    ada.api.get(&format!("posts/find-slot/{theirs}")).await.expect(StatusCode::NOT_FOUND);
    ada.api.get(&format!("posts/find-slot?channel={theirs}")).await.expect(StatusCode::NOT_FOUND);

    let (user, viewer) = (ada.member("user").await, ada.member("viewer").await);
    user.put("posting-times", json!({"times": good})).await.expect(StatusCode::FORBIDDEN);
    viewer.put("posting-times", json!({"times": good})).await.expect(StatusCode::FORBIDDEN);
    ada.member("admin").await.put("posting-times", json!({"times": good})).await.expect(StatusCode::OK);
    assert_eq!(viewer.get("posting-times").await.expect(StatusCode::OK).at("/data/times/0/time"), "09:00");
    viewer.get("posts/find-slot").await.expect(StatusCode::OK);
    assert_eq!(stranger.api.get("posting-times").await.at("/data/isDefault"), true, "only Ada's");
    server.api().get("posting-times").await.expect(StatusCode::UNAUTHORIZED);
    server.api().get("posts/find-slot").await.expect(StatusCode::UNAUTHORIZED);
}
