//! Kills around the real PDS.

use std::{collections::HashMap, time::Duration};

use annals_tests::{Server, bluesky_pds};
use serde_json::json;

use crate::{
    KILLS, ask_to_publish,
    assassin::{Assassin, Phase},
    connect, end_leases, now_on,
    pds::{PASSWORD, Pds},
    publish_now, settled,
};

#[tokio::test]
async fn a_post_stands_once_on_bluesky_whenever_the_worker_is_killed() {
    let Some(url) = bluesky_pds("publishing_faults::bluesky") else { return };
    let pds = Pds::at(&url);
    let blogger = pds.blogger().await;
    let mut assassin = Assassin::before(&pds.url).await;
    let mut server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let credentials = json!({"service": assassin.url, "identifier": blogger.handle, "password": PASSWORD});
    let channel = connect(&ada, json!({"platform": "bluesky", "credentials": credentials})).await;

    let mut sent: Vec<(String, String, Phase)> = Vec::new();
    let mut hits: HashMap<Phase, usize> = HashMap::new();
    for round in 0..KILLS {
        for phase in Phase::ALL {
            let text = format!("killed {phase:?}, round {round}");
            assassin.aim_at(server.pid().expect("it runs"));
            assassin.order(&text, phase).await;
            let body = now_on(&channel, &text);
            ask_to_publish(&ada, &body);
            let hit = tokio::time::timeout(Duration::from_secs(60), assassin.hits.recv()).await;
            let hit = hit.expect("the post is sent to the PDS").expect("the assassin lives");
            assert_eq!((hit.text.as_str(), hit.phase), (text.as_str(), phase));
            *hits.entry(phase).or_default() += 1;
            server.kill9();
            // The last round waits for the leases themselves.
            if round + 1 < KILLS {
                end_leases(&server).await;
            }
            server.restart().await;
            let post = publish_now(&ada, &body).await;
            sent.push((post, text, phase));
        }
    }
    assert!(Phase::ALL.iter().all(|phase| hits.get(phase) == Some(&KILLS)), "each phase was hit: {hits:?}");

    let mut said: HashMap<&'static str, usize> = HashMap::new();
    let mut deliveries = Vec::new();
    for (post, ..) in &sent {
        deliveries.push(settled(&ada, post).await);
    }
    let standing = pds.posts(&blogger.did).await;
    for ((post, text, phase), delivery) in sent.iter().zip(&deliveries) {
        let stands: Vec<_> = standing.iter().filter(|(_, standing)| standing == text).collect();
        assert!(stands.len() <= 1, "{post} was doubled: {stands:?}");
        match delivery["status"].as_str() {
            Some("published") => {
                *said.entry("published").or_default() += 1;
                assert_eq!(stands.len(), 1, "{post}, {phase:?}: said to be published, and is not there");
                assert_eq!(delivery["remoteId"], stands[0].0.as_str());
                // What stood already was found, not sent again.
                let arrivals = if *phase == Phase::Before { 2 } else { 1 };
                assert_eq!(assassin.arrivals(text).await, arrivals, "{post}, {phase:?}");
            }
            Some("unknown") => *said.entry("unknown").or_default() += 1,
            _ => panic!("{post}, {phase:?}: the platform did not refuse it: {delivery}"),
        }
    }
    println!("killed {hits:?}; {} posts on the PDS; Annals says {said:?}", standing.len());
    assert_eq!(standing.len(), sent.len(), "none is missing and none is there that nobody sent");
    assert_eq!(said.get("unknown"), None, "the PDS can always be asked, so nothing stays unknown");
}
