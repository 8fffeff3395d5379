//! Kills around a real Nostr relay.

use std::collections::HashMap;

use annals_tests::{Server, nostr_relay};
use serde_json::json;
use uuid::Uuid;

use crate::{
    KILLS, ask_to_publish,
    assassin::Phase,
    connect, end_leases, now_on, publish_now,
    relay::{RelayAssassin, notes},
    settled,
};

#[tokio::test]
async fn a_note_stands_once_on_the_relay_whenever_the_worker_is_killed() {
    let Some(relay) = nostr_relay("publishing_faults::nostr") else { return };
    let mut assassin = RelayAssassin::before(&relay).await;
    let mut server = Server::start().await;
    let ada = server.api().register("Ada").await;
    // Nobody else has it, and 64 digits are a key.
    let run = Uuid::new_v4().simple().to_string();
    let credentials = json!({"privateKey": format!("{run}{run}"), "relays": assassin.url});
    let channel = connect(&ada, json!({"platform": "nostr", "credentials": credentials})).await;

    let mut sent: Vec<(String, String, Phase)> = Vec::new();
    let mut hits: HashMap<Phase, usize> = HashMap::new();
    for round in 0..KILLS {
        for phase in Phase::ALL {
            let text = format!("{run}: killed {phase:?}, round {round}");
            assassin.aim_at(server.pid().expect("it runs"));
            assassin.order(&text, phase).await;
            let body = now_on(&channel, &text);
            ask_to_publish(&ada, &body);
            let hit = tokio::time::timeout(std::time::Duration::from_secs(60), assassin.hits.recv()).await;
            let hit = hit.expect("the note is sent to the relay").expect("the assassin lives");
            assert_eq!((hit.text.as_str(), hit.phase), (text.as_str(), phase));
            *hits.entry(phase).or_default() += 1;
            server.kill9();
            // The last round waits for the leases themselves.
            if round + 1 < KILLS {
                end_leases(&server).await;
            }
            server.restart().await;
            let post = publish_now(&ada, &body).await;
            if round + 1 < KILLS {
                // The next kill is meant for the next post: three in a row would use up this one's tries.
                settled(&ada, &post).await;
            }
            sent.push((post, text, phase));
        }
    }
    assert!(Phase::ALL.iter().all(|phase| hits.get(phase) == Some(&KILLS)), "each phase was hit: {hits:?}");

    let mut deliveries = Vec::new();
    for (post, ..) in &sent {
        deliveries.push(settled(&ada, post).await);
    }
    let standing = notes(&relay, &run).await;
    for ((post, text, phase), delivery) in sent.iter().zip(&deliveries) {
        assert_eq!(delivery["status"], "published", "{post}, {phase:?}: {delivery}");
        let stands: Vec<_> = standing.iter().filter(|(_, standing)| standing == text).collect();
        assert_eq!(stands.len(), 1, "{post}, {phase:?}: {stands:?}");
        assert_eq!(delivery["remoteId"], stands[0].0.as_str());
        // What stood already was found, not sent again.
        let arrivals = if *phase == Phase::Before { 2 } else { 1 };
        assert_eq!(assassin.arrivals(text).await, arrivals, "{post}, {phase:?}");
    }
    println!("killed {hits:?}; {} notes on the relay, each once", standing.len());
    assert_eq!(standing.len(), sent.len(), "none is missing and none is there that nobody sent");
}
