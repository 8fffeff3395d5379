//! A read model that is built again from position 0 answers as the live one did.

use annals_tests::{Api, Server, StatusCode, eventually};
use serde_json::{Value, json};

use crate::support::{PATIENCE, draft, feed_channel, in_seconds, later, now, until, write};

async fn answers(api: &Api, channel: &str, period: &str) -> Vec<Value> {
    let mut answers = Vec::new();
    for path in [
        "integrations",
        "posts",
        "posts/tags",
        "posting-times",
        "posts/series",
        "posts/imports",
        "activity?limit=200",
    ] {
        answers.push(api.get(path).await.expect(StatusCode::OK).body);
    }
    answers.push(api.get(&format!("analytics/overview?{period}")).await.expect(StatusCode::OK).body);
    answers.push(api.get(&format!("/feeds/{channel}.json")).await.expect(StatusCode::OK).body);
    answers
}

/// A file of which one row is a post and one is not.
async fn import(api: &Api) {
    let rows = json!([{"content": "From a file", "type": "draft"}, {"content": "", "type": "draft"}]);
    let begun = api.post("posts/import", rows).await.expect(StatusCode::CREATED);
    let path = format!("posts/imports/{}", begun.text_at("/data/id"));
    eventually("the import is completed", PATIENCE, || async {
        (api.get(&path).await.at("/data/status") == "completed").then_some(())
    })
    .await;
}

/// The generation that is read, as `annals projections list` shows it.
fn live_generation(server: &Server, name: &str) -> Option<u32> {
    let output = server.command().args(["projections", "list", "--data"]).arg(server.data()).output().ok()?;
    let table = String::from_utf8(output.stdout).ok()?;
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.first() == Some(&name) && row.last() == Some(&"live"))
        .find_map(|row| row.get(2)?.parse().ok())
}

/// Builds a read model beside the live one, and waits until it took over.
pub(crate) async fn build_again(server: &Server, name: &str) {
    let first = live_generation(server, name);
    let rebuild = server
        .command()
        .args(["projections", "rebuild", name, "--reason", "to compare", "--data"])
        .arg(server.data())
        .output();
    let rebuild = rebuild.expect("annals runs");
    assert!(rebuild.status.success(), "{}", String::from_utf8_lossy(&rebuild.stderr));
    eventually(&format!("{name} is built again"), PATIENCE, || async {
        (live_generation(server, name) > first).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_read_model_built_again_answers_as_before() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let channel = feed_channel(&api, "News").await;
    let gone = feed_channel(&api, "Gone").await;
    api.put(&format!("integrations/{channel}/group"), json!({"group": "EU"})).await.expect(StatusCode::OK);
    let times = json!({"times": [{"weekday": "friday", "time": "09:00"}]});
    api.put("posting-times", times).await.expect(StatusCode::OK);
    let mut tagged = now("Hello", &[&channel]);
    tagged["tags"] = json!(["Launch"]);
    let published = write(&api, tagged).await;
    until(&api, &published, "published").await;
    let mut recurring = later("Again and again", &[&channel], &in_seconds(7_200));
    recurring["recurrence"] = json!("FREQ=DAILY;COUNT=2");
    write(&api, recurring).await;
    import(&api).await;
    write(&api, later("Later", &[&channel, &gone], &in_seconds(3_600))).await;
    let deleted = write(&api, draft("Nothing")).await;
    api.delete(&format!("posts/{deleted}")).await.expect(StatusCode::OK);
    api.delete(&format!("integrations/{gone}")).await.expect(StatusCode::OK);

    let period = format!("startDate={}&endDate={}", in_seconds(-86_400), in_seconds(86_400));
    let before = answers(&api, &channel, &period).await;
    for name in [
        "channels",
        "imports",
        "posts",
        "post_origins",
        "posting_times",
        "series",
        "tags",
        "activity",
        "figures",
    ] {
        build_again(&server, name).await;
        assert_eq!(answers(&api, &channel, &period).await, before, "after {name} was built again");
    }
}
