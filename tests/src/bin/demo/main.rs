//! Plays a month of an organization over HTTP against a running server, so that there is
//! something to look at. `scripts/demo [URL]`.

#![expect(clippy::print_stdout, reason = "it tells what it does")]

mod month;
mod pictures;

use std::time::Duration;

use annals_tests::{Account, Api, PASSWORD, StatusCode};
use chrono::{Datelike, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use month::{MONTH, Planned};
use pictures::PICTURES;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:3000".to_string());
    let url = url.trim_end_matches('/');
    let api = Api::new(url);
    let run = Utc::now().format("%y%m%d%H%M%S").to_string();

    let ada = register(&api, "Ada Marques", &run).await;
    let answer = ada
        .api
        .post("agencies", json!({"name": "Harbour Coffee Roasters"}))
        .await
        .expect(StatusCode::CREATED);
    let organization = answer.text_at("/data/id");
    let owner = switch(&ada, &organization).await;
    let zone = json!({"timezone": "Europe/Lisbon", "locale": "en"});
    owner.patch("users/settings", zone).await.expect(StatusCode::OK);
    println!("Ada founded Harbour Coffee Roasters");

    let ben = join(&api, &owner, &organization, "Ben Okafor", "admin", &run).await;
    let chloe = join(&api, &owner, &organization, "Chloe Lind", "user", &run).await;
    let dan = join(&api, &ben, &organization, "Dan Ruiz", "viewer", &run).await;

    let mut channels = Vec::new();
    for (name, group) in [("Shop news", "Shop"), ("Tasting room", "Shop"), ("Behind the counter", "People")] {
        let connected = ben
            .post("integrations/connect", json!({"platform": "feed", "name": name}))
            .await
            .expect(StatusCode::CREATED);
        let (id, feed) = (connected.text_at("/data/id"), connected.text_at("/data/url"));
        let grouped = json!({"group": group, "customer": "Harbour Coffee Roasters"});
        ben.put(&format!("integrations/{id}/group"), grouped).await.expect(StatusCode::OK);
        println!("Ben connected «{name}»: {feed}.atom");
        channels.push(id);
    }
    for (name, color) in [
        ("offers", "#c2410c"),
        ("guides", "#15803d"),
        ("events", "#1d4ed8"),
        ("hiring", "#7e22ce"),
        ("news", "#475569"),
    ] {
        ben.post("posts/tags", json!({"name": name, "color": color})).await.expect(StatusCode::CREATED);
    }

    let pictures = fill_library(&chloe).await;
    let welcome = post(
        &chloe,
        "Doors are open, the first batch is cooling. Good morning!",
        &channels,
        json!({"type": "now", "tags": ["news"]}),
    )
    .await;
    println!("Chloe published a good morning on all three: {welcome}");
    let today = Utc::now().date_naive();
    let monday = today + TimeDelta::days(7 - i64::from(today.weekday().num_days_from_monday()));
    let mut scheduled = Vec::new();
    for planned in &MONTH {
        scheduled.push(plan(&chloe, planned, monday, &channels, &pictures).await);
    }
    recur(&chloe, monday, &channels).await;
    ben.delete(&format!("posts/{}", scheduled[1])).await.expect(StatusCode::OK);
    println!("Ben took back the job offer: it is filled");
    let edited = json!({
        "content": "Tonight at six: the cupping. It is full, but there is always a corner to stand in.",
        "integrations": [{"id": channels[0]}, {"id": channels[1]}], "tags": ["events"],
        "type": "schedule", "timezone": "Europe/Lisbon",
        "scheduledAt": (monday + TimeDelta::days(3)).format("%Y-%m-%dT15:00:00").to_string(),
    });
    chloe.put(&format!("posts/{}", scheduled[5]), edited).await.expect(StatusCode::OK);
    println!("Chloe changed what she says about the cupping, and when");
    post(
        &chloe,
        "Something about the harbour at night, when I have the picture.",
        &channels[..1],
        json!({"type": "draft"}),
    )
    .await;

    let soon = (Utc::now() + TimeDelta::seconds(60)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let minute = post(
        &ben,
        "This stands here a minute after it was planned.",
        &channels[..1],
        json!({"type": "schedule", "scheduledAt": soon}),
    )
    .await;
    println!("Ben planned one for a minute from now: {minute}");
    let key = owner
        .post("settings/api-keys", json!({"name": "till", "scopes": ["post"]}))
        .await
        .expect(StatusCode::CREATED);
    let till = api.with_token(&key.text_at("/data/key"));
    post(&till, "The till says: 143 cups today.", &channels[2..], json!({"type": "now", "tags": ["news"]}))
        .await;
    println!("The till published through an API key");
    let refused = dan
        .post("posts", json!({"content": "Can I?", "type": "now", "integrations": [{"id": channels[0]}]}))
        .await;
    refused.expect(StatusCode::FORBIDDEN);
    println!("Dan, a viewer, was not let publish");

    let overview = owner.get("analytics/overview").await.expect(StatusCode::OK);
    println!("\nPosts by status: {}", overview.at("/data/posts"));
    println!("\nLook around as ada.marques.{run}@example.org with the password «{PASSWORD}»: {url}/console");
}

/// Uploads the pictures; their ids, in the same order.
async fn fill_library(api: &Api) -> Vec<String> {
    let mut ids = Vec::new();
    for picture in &PICTURES {
        let uploaded = api.upload(picture.name, "image/png", &picture.draw()).await;
        ids.push(uploaded.expect(StatusCode::CREATED).text_at("/data/id"));
    }
    println!("Chloe put {} pictures into the media library", ids.len());
    ids
}

/// Schedules a post of the month; its id.
async fn plan(
    api: &Api,
    planned: &Planned,
    monday: NaiveDate,
    channels: &[String],
    pictures: &[String],
) -> String {
    let Planned { days, time, places, tag, picture, content, thread } = planned;
    let day = monday + TimeDelta::days(*days);
    let time = NaiveTime::parse_from_str(time, "%H:%M").expect("the plan's times are times");
    let targets: Vec<String> = places.iter().map(|place| channels[*place].clone()).collect();
    let media: Vec<Value> =
        picture.iter().map(|number| json!({"id": pictures[*number], "alt": PICTURES[*number].alt})).collect();
    let when = json!({
        "type": "schedule", "scheduledAt": day.and_time(time).format("%Y-%m-%dT%H:%M:%S").to_string(),
        "timezone": "Europe/Lisbon", "tags": [tag], "media": media, "thread": thread,
    });
    println!("Chloe planned for {} {}: {content:.40}…", day.format("%a %d %b"), time.format("%H:%M"));
    post(api, content, &targets, when).await
}

/// A post that comes every Friday of the month, by Lisbon's clocks.
async fn recur(api: &Api, monday: NaiveDate, channels: &[String]) {
    let friday = monday + TimeDelta::days(4);
    let when = json!({
        "type": "schedule", "scheduledAt": friday.format("%Y-%m-%dT07:30").to_string(), "timezone": "Europe/Lisbon",
        "recurrence": "FREQ=WEEKLY;COUNT=4", "tags": ["news"],
    });
    post(api, "It is Friday: the roaster is hot from seven, come and smell.", &channels[..1], when).await;
    println!("Chloe let one come every Friday");
}

async fn register(api: &Api, name: &str, run: &str) -> Account {
    let email = format!("{}.{run}@example.org", name.to_lowercase().replace(' ', "."));
    let body = json!({"email": email, "password": PASSWORD, "name": name});
    // The server lets few register a minute, and says when to come back.
    let answer = loop {
        let answer = api.post("auth/register", body.clone()).await;
        let retry_after =
            answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        match retry_after {
            Some(seconds) if answer.status == StatusCode::TOO_MANY_REQUESTS => {
                println!("(registrations are limited: going on in {seconds} s)");
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            _ => break answer.expect(StatusCode::CREATED),
        }
    };
    Account {
        api: api.with_token(&answer.text_at("/data/accessToken")),
        email,
        password: PASSWORD.to_string(),
        user_id: answer.text_at("/data/user/id"),
        organization_id: answer.text_at("/data/organization/id"),
        refresh_token: answer.text_at("/data/refreshToken"),
    }
}

/// Registers somebody, lets `inviter` invite them and them accept; what they may then call with.
async fn join(api: &Api, inviter: &Api, organization: &str, name: &str, role: &str, run: &str) -> Api {
    let somebody = register(api, name, run).await;
    let invitation = inviter
        .post(&format!("agencies/{organization}/invite"), json!({"email": somebody.email, "role": role}))
        .await
        .expect(StatusCode::CREATED);
    let token = invitation.text_at("/data/token");
    let accepted = somebody.api.post("agencies/invitations/accept", json!({"token": token})).await;
    assert!(accepted.status.is_success(), "{}", accepted.text);
    println!("{name} joined as {role}");
    switch(&somebody, organization).await
}

async fn switch(account: &Account, organization: &str) -> Api {
    let answer =
        account.api.post(&format!("agencies/{organization}/switch"), json!({})).await.expect(StatusCode::OK);
    account.api.with_token(&answer.text_at("/data/accessToken"))
}

/// Makes a post of `content` for these channels, with the further fields of `when`; its id.
async fn post(api: &Api, content: &str, channels: &[String], when: Value) -> String {
    let mut body = json!({
        "content": content,
        "integrations": channels.iter().map(|id| json!({"id": id})).collect::<Vec<_>>(),
    });
    if let (Some(body), Some(when)) = (body.as_object_mut(), when.as_object()) {
        body.extend(when.clone());
    }
    api.post("posts", body).await.expect(StatusCode::CREATED).text_at("/data/id")
}
