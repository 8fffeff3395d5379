//! Kills around the real PDS while a post's image, and then the post, is on its way.

use std::{collections::HashMap, time::Duration};

use annals_tests::{Account, Server, StatusCode, bluesky_pds};
use serde_json::json;

use crate::{
    IMAGE_KILLS, ask_to_publish,
    assassin::{Assassin, Phase},
    connect, end_leases, now_on,
    pds::{PASSWORD, Pds},
    publish_now, settled,
};

const PNG: &[u8] = include_bytes!("../../fixtures/squares.png");

/// What is on its way when the server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Image,
    Record,
}

/// Uploads an image that bears a mark behind its end, and returns its id.
async fn upload(account: &Account, mark: &str) -> String {
    let bytes = [PNG, mark.as_bytes()].concat();
    account.api.upload("a.png", "image/png", &bytes).await.expect(StatusCode::CREATED).text_at("/data/id")
}

#[tokio::test]
async fn an_image_post_stands_once_whenever_the_worker_is_killed() {
    let Some(url) = bluesky_pds("publishing_faults::images") else { return };
    let pds = Pds::at(&url);
    let blogger = pds.blogger().await;
    let mut assassin = Assassin::before(&pds.url).await;
    let mut server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let credentials = json!({"service": assassin.url, "identifier": blogger.handle, "password": PASSWORD});
    let channel = connect(&ada, json!({"platform": "bluesky", "credentials": credentials})).await;

    let mut sent = Vec::new();
    let mut hits: HashMap<(Step, Phase), usize> = HashMap::new();
    for round in 0..IMAGE_KILLS {
        for step in [Step::Image, Step::Record] {
            for phase in Phase::ALL {
                let text = format!("killed {step:?} {phase:?}, round {round}");
                let mark = format!("image of {step:?} {phase:?}, round {round}");
                let image = upload(&ada, &mark).await;
                assassin.aim_at(server.pid().expect("it runs"));
                let target = if step == Step::Image { &mark } else { &text };
                assassin.order(target, phase).await;
                let mut body = now_on(&channel, &text);
                body["media"] = json!([{"id": image, "alt": text}]);
                ask_to_publish(&ada, &body);
                let hit = tokio::time::timeout(Duration::from_secs(60), assassin.hits.recv()).await;
                let hit = hit.expect("it is sent to the PDS").expect("the assassin lives");
                assert_eq!((&hit.text, hit.phase), (target, phase));
                *hits.entry((step, phase)).or_default() += 1;
                server.kill9();
                // What stands as far as the PDS is concerned is found, however long the lease.
                end_leases(&server).await;
                server.restart().await;
                let post = publish_now(&ada, &body).await;
                sent.push((post, text, mark, (step, phase)));
            }
        }
    }
    assert!(hits.len() == 6 && hits.values().all(|count| *count == IMAGE_KILLS), "{hits:?}");

    for (post, text, ..) in &sent {
        assert_eq!(settled(&ada, post).await["status"], "published", "{text}");
    }
    let standing = pds.records(&blogger.did).await;
    assert_eq!(standing.len(), sent.len(), "none is missing and none is there that nobody sent");
    for (_, text, mark, (step, phase)) in &sent {
        let stands: Vec<_> = standing.iter().filter(|record| record["value"]["text"] == **text).collect();
        assert_eq!(stands.len(), 1, "{text}");
        let images = stands[0]["value"]["embed"]["images"].as_array().expect("it shows an image");
        assert_eq!((images.len(), &images[0]["alt"]), (1, &json!(text)));
        // What stood already was neither uploaded nor written again.
        let (uploads, writes) = match (step, phase) {
            (Step::Image, _) => (2, 1),
            (Step::Record, Phase::Before) => (2, 2),
            (Step::Record, _) => (1, 1),
        };
        assert_eq!(
            (assassin.arrivals(mark).await, assassin.arrivals(text).await),
            (uploads, writes),
            "{text}"
        );
    }
    println!("killed {hits:?}; {} posts on the PDS, each once with its image", standing.len());
}
