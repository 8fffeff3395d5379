//! Two nodes decide at once: the last place is taken once.

use annals_tests::StatusCode;
use futures::future::join_all;
use serde_json::json;

use crate::support::{House, connect, exceeded, post, used};

#[tokio::test]
async fn two_nodes_connect_the_last_channel_at_once_and_one_is_refused() {
    let house = House::new().await;
    let other = house.server.node().await;
    for round in 0..4 {
        let bea = house.tenant(&format!("Bea {round}"), "small").await;
        connect(&bea.api, "one").await.expect(StatusCode::CREATED);
        let there = bea.api.at(&other.url());
        let names: Vec<String> = (0..8).map(|number| format!("two {number}")).collect();
        let apis = [&bea.api, &there].into_iter().cycle();
        let answers = join_all(names.iter().zip(apis).map(|(name, api)| connect(api, name))).await;
        let (connected, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
        assert_eq!(connected.len(), 1, "round {round}: {refused:?}");
        refused.iter().for_each(|answer| exceeded(answer, "channels", json!("medium")));
        used(&bea, "channels", 2, Some(2)).await;
    }
}

#[tokio::test]
async fn two_nodes_fill_a_month_to_the_last_post() {
    let house = House::new().await;
    let other = house.server.node().await;
    let bea = house.tenant("Bea", "medium").await;
    let channel = connect(&bea.api, "one").await.expect(StatusCode::CREATED).text_at("/data/id");
    let there = bea.api.at(&other.url());
    let at = (chrono::Utc::now() + chrono::TimeDelta::days(70)).to_rfc3339();
    let apis = [&bea.api, &there].into_iter().cycle().take(10);
    let answers = join_all(apis.map(|api| api.post("posts", post(&channel, &at)))).await;
    let (written, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(written.len(), 5, "{refused:?}");
    refused.iter().for_each(|answer| exceeded(answer, "posts_per_month", json!("large")));
}
