//! An operator with some history, and somebody else.

use annals_tests::{Account, Answer, Api, Server, StatusCode};
use serde_json::json;

/// Ada, the operator, and Bob, who has an organization of his own; each with a channel or two.
pub(crate) async fn two_organizations(server: &Server) -> (Account, Account) {
    let ada = server.api().register("Ada").await;
    let bob = server.api().register("Bob").await;
    for (person, channels) in [(&ada, 3), (&bob, 2)] {
        for number in 0..channels {
            connect(&person.api, &format!("channel {number}")).await;
        }
    }
    (ada, bob)
}

pub(crate) async fn connect(api: &Api, name: &str) -> Answer {
    let answer = api.post("integrations/connect", json!({"platform": "feed", "name": name})).await;
    answer.expect(StatusCode::CREATED)
}

/// Has a checkpoint signed; its note.
pub(crate) async fn signed(operator: &Account) -> String {
    let answer = operator.api.post("audit/checkpoints", json!({})).await.expect(StatusCode::CREATED);
    answer.text_at("/data/note")
}

/// The lines of a bundle that are events.
pub(crate) fn events(bundle: &str) -> Vec<serde_json::Value> {
    let lines = bundle.lines().map(|line| serde_json::from_str(line).expect("each line is JSON"));
    lines.filter(|line: &serde_json::Value| line["kind"] == "event").collect()
}
