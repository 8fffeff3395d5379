//! What stands in the channel after publishing.

use annals_commands::ports::social::{Lookup, OutgoingPost, SocialProvider};
use chrono::TimeDelta;
use serde_json::json;

use crate::{
    stub::{Discord, Verdict},
    support::{bot, handle, post, provider, webhook},
};

#[tokio::test]
async fn a_bots_thread_answers_itself_calls_nobody_and_stands_once_however_often_it_is_published() {
    let discord = Discord::start(|_, _| Verdict::Act).await;
    let (provider, channel) = (provider(&discord), bot(&discord).await);
    let (handle, thread) = (handle(&channel), post(&["@everyone one", "two", "three"]));
    let first = provider.publish(&channel, handle, &thread).await.unwrap();
    for _ in 0..3 {
        assert_eq!(provider.publish(&channel, handle, &thread).await.unwrap(), first);
    }
    assert_eq!(provider.find(&channel, handle, &thread).await.unwrap(), Lookup::Found(first.clone()));
    let standing = discord.messages().await;
    let texts: Vec<_> = standing.iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(texts, ["@everyone one", "two", "three"]);
    assert!(standing.iter().all(|message| message["allowed_mentions"] == json!({"parse": []})));
    assert!(standing.iter().all(|message| message["nonce"].as_str().unwrap().len() <= 25));
    assert_eq!(standing[1]["message_reference"]["message_id"], standing[0]["id"]);
    assert_eq!(standing[2]["message_reference"]["message_id"], standing[1]["id"]);
    assert_eq!(first.url, Some(format!("{}/channels/777/555/{}", discord.url, first.remote_id)));
}

#[tokio::test]
async fn a_thread_that_goes_out_part_by_part_hangs_together() {
    let discord = Discord::start(|_, _| Verdict::Act).await;
    let (provider, channel) = (provider(&discord), bot(&discord).await);
    let (handle, mut thread) = (handle(&channel), post(&["one"]));
    for text in ["two", "three"] {
        let stands = provider.publish(&channel, handle, &thread).await.unwrap();
        thread.standing.push(stands);
        thread.parts.push(text.into());
        assert_eq!(provider.find(&channel, handle, &thread).await.unwrap(), Lookup::NotFound);
    }
    let last = provider.publish(&channel, handle, &thread).await.unwrap();
    assert_eq!(provider.find(&channel, handle, &thread).await.unwrap(), Lookup::Found(last));
    assert_eq!(discord.messages().await.len(), 3);
}

#[tokio::test]
async fn a_webhooks_thread_is_one_message_after_the_other_and_can_not_be_looked_for() {
    let discord = Discord::start(|_, _| Verdict::Act).await;
    let (provider, channel) = (provider(&discord), webhook(&discord).await);
    let (handle, thread) = (handle(&channel), post(&["one", "two"]));
    let first = provider.publish(&channel, handle, &thread).await.unwrap();
    let standing = discord.messages().await;
    assert_eq!(first.remote_id, standing[0]["id"].as_str().unwrap());
    assert_eq!(first.url, Some(format!("{}/channels/777/555/{}", discord.url, first.remote_id)));
    assert!(standing.iter().all(|message| message["message_reference"].is_null()));
    assert_eq!(provider.find(&channel, handle, &thread).await.unwrap(), Lookup::CannotTell);
}

#[tokio::test]
async fn an_attempt_whose_nonce_may_be_forgotten_looks_first_and_other_posts_with_its_text_stand_beside_it() {
    let discord = Discord::start(|_, _| Verdict::Act).await;
    let (provider, channel) = (provider(&discord), bot(&discord).await);
    let thread = post(&["good morning", "and more"]);
    let first = provider.publish(&channel, handle(&channel), &thread).await.unwrap();
    provider.publish(&channel, handle(&channel), &post(&["good morning"])).await.unwrap();
    assert_eq!(discord.messages().await.len(), 3);
    // Another handle stands for a nonce that is forgotten.
    let late = OutgoingPost { at: thread.at - TimeDelta::hours(2), ..thread.clone() };
    assert_eq!(provider.publish(&channel, handle(&channel), &late).await.unwrap(), first);
    assert_eq!(discord.messages().await.len(), 3);
}

#[tokio::test]
async fn a_bot_that_is_shown_no_history_can_not_tell() {
    let discord = Discord::start(|call, _| match call {
        "GET /channels/555/messages" => Verdict::Answer(200, "", "[]"),
        _ => Verdict::Act,
    })
    .await;
    let (provider, channel) = (provider(&discord), bot(&discord).await);
    let (handle, one) = (handle(&channel), post(&["one"]));
    provider.publish(&channel, handle, &one).await.unwrap();
    assert_eq!(provider.find(&channel, handle, &one).await.unwrap(), Lookup::CannotTell);
}

#[tokio::test]
async fn a_busy_channel_is_read_page_by_page_to_its_end_and_not_for_ever() {
    let discord = Discord::start(|_, _| Verdict::Act).await;
    let (provider, channel) = (provider(&discord), bot(&discord).await);
    let sought = post(&["the one that is looked for"]);
    for n in 0..250 {
        let other = post(&[format!("noise {n}").as_str()]);
        provider.publish(&channel, handle(&channel), &other).await.unwrap();
    }
    let stands = provider.publish(&channel, handle(&channel), &sought).await.unwrap();
    assert_eq!(provider.find(&channel, handle(&channel), &sought).await.unwrap(), Lookup::Found(stands));
    assert_eq!(discord.count("GET /channels/555/messages").await, 3);
    for n in 0..260 {
        let other = post(&[format!("more noise {n}").as_str()]);
        provider.publish(&channel, handle(&channel), &other).await.unwrap();
    }
    assert_eq!(provider.find(&channel, handle(&channel), &sought).await.unwrap(), Lookup::CannotTell);
}
