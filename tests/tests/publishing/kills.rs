//! The server killed where it hurts: it goes on where it was.

use annals_tests::{Server, StatusCode};

use crate::support::{entries, feed_channel, in_seconds, later, now, until, write};

#[tokio::test]
async fn a_server_killed_between_schedule_and_due_time_publishes_once_it_is_back() {
    let mut server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = feed_channel(&ada.api, "News").await;
    let due_while_dead = write(&ada.api, later("while dead", &[&channel], &in_seconds(2))).await;
    let due_later = write(&ada.api, later("later", &[&channel], &in_seconds(6))).await;
    server.kill9();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    server.restart().await;
    for post in [&due_while_dead, &due_later] {
        until(&ada.api, post, "published").await;
    }
    assert_eq!(entries(&server.api(), &channel).await.len(), 2);
}

/// Killed at ever other moments while posts go out: each stands once, and none is lost.
#[tokio::test]
async fn however_often_it_is_killed_each_post_stands_once() {
    const KILLS: usize = 8;
    let mut server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = feed_channel(&ada.api, "News").await;
    let mut posts = Vec::new();
    for kill in 0..KILLS {
        for number in 0..3 {
            posts.push(write(&ada.api, now(&format!("{kill}.{number}"), &[&channel])).await);
        }
        tokio::time::sleep(std::time::Duration::from_millis(13 * kill as u64)).await;
        server.restart().await;
    }
    for post in &posts {
        // A worker that died in a call is followed by another when its lease ends.
        let published =
            annals_tests::eventually("the post stands", std::time::Duration::from_secs(180), || async {
                let answer = ada.api.get(&format!("posts/{post}")).await;
                (answer.status == StatusCode::OK && answer.at("/data/status") == "published")
                    .then_some(answer)
            });
        published.await;
    }
    let mut texts: Vec<_> = entries(&server.api(), &channel)
        .await
        .into_iter()
        .filter_map(|entry| entry.title.map(|title| title.content))
        .collect();
    texts.sort();
    let mut expected: Vec<_> =
        (0..KILLS).flat_map(|kill| (0..3).map(move |number| format!("{kill}.{number}"))).collect();
    expected.sort();
    assert_eq!(texts, expected);
}
