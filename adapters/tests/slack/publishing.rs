//! What stands in the channel after publishing.

use annals_commands::ports::social::{Lookup, SocialProvider};
use serde_json::json;

use crate::workspace::{bots_channel, channel_of, connect, handle, post, slack, workspace};

#[tokio::test]
async fn a_bots_thread_is_one_and_nothing_in_it_is_a_command() {
    let Some(workspace) = workspace() else { return };
    let (channel, token, id) = bots_channel(&workspace).await;
    let slack = slack(&workspace.url);
    let (handle, thread) =
        (handle(&channel), post(&["one <!channel> & https://example.org", "two", "three"]));
    assert_eq!(slack.find(&channel, handle, &thread).await.unwrap(), Lookup::NotFound);
    let first = slack.publish(&channel, handle, &thread).await.unwrap();
    let standing = workspace.messages(&token, &id).await;
    let texts: Vec<_> = standing.iter().map(|message| message["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["one &lt;!channel&gt; &amp; https://example.org", "two", "three"]);
    assert_eq!(first.remote_id, standing[0]["ts"].as_str().unwrap());
    assert!(standing[1..].iter().all(|answer| answer["thread_ts"] == standing[0]["ts"]), "{standing:?}");
    let page = format!("https://emulate.slack.com/archives/{id}/p{}", first.remote_id.replace('.', ""));
    assert_eq!(first.url, Some(page));
    assert_eq!(slack.find(&channel, handle, &thread).await.unwrap(), Lookup::Found(first));
}

#[tokio::test]
async fn a_thread_that_goes_out_part_by_part_is_found_part_by_part() {
    let Some(workspace) = workspace() else { return };
    let (channel, token, id) = bots_channel(&workspace).await;
    let slack = slack(&workspace.url);
    let (handle, mut thread) = (handle(&channel), post(&["one"]));
    for text in ["two", "three"] {
        let stands = slack.publish(&channel, handle, &thread).await.unwrap();
        assert_eq!(slack.find(&channel, handle, &thread).await.unwrap(), Lookup::Found(stands.clone()));
        thread.standing.push(stands);
        thread.parts.push(text.into());
        assert_eq!(slack.find(&channel, handle, &thread).await.unwrap(), Lookup::NotFound);
    }
    let last = slack.publish(&channel, handle, &thread).await.unwrap();
    assert!(last.url.as_ref().unwrap().contains("thread_ts="), "{last:?}");
    assert_eq!(slack.find(&channel, handle, &thread).await.unwrap(), Lookup::Found(last));
    assert_eq!(workspace.messages(&token, &id).await.len(), 3);
}

#[tokio::test]
async fn the_same_text_of_another_post_is_not_taken_for_it() {
    let Some(workspace) = workspace() else { return };
    let (channel, ..) = bots_channel(&workspace).await;
    let slack = slack(&workspace.url);
    slack.publish(&channel, handle(&channel), &post(&["again"])).await.unwrap();
    assert_eq!(slack.find(&channel, handle(&channel), &post(&["again"])).await.unwrap(), Lookup::NotFound);
}

#[tokio::test]
async fn a_webhooks_messages_stand_one_after_the_other_and_can_not_be_looked_for() {
    let Some(workspace) = workspace() else { return };
    let hook = format!("{}/services/T000000001/B000000001/X000000001", workspace.url);
    let channel = channel_of(connect(&workspace.url, json!({"webhookUrl": hook})).await.unwrap());
    let slack = slack(&workspace.url);
    let marker = uuid::Uuid::new_v4().to_string();
    let (handle, thread) = (handle(&channel), post(&[&format!("{marker} one"), &format!("{marker} two")]));
    let first = slack.publish(&channel, handle, &thread).await.unwrap();
    assert!(first.remote_id.starts_with("webhook:") && first.url.is_none(), "{first:?}");
    let (token, _) = workspace.bot().await;
    let arguments = [("channel", "C000000001"), ("limit", "1000")];
    let history = workspace.call("conversations.history", &token, &arguments).await;
    let texts =
        history["messages"].as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap());
    assert_eq!(texts.filter(|text| text.starts_with(&marker)).count(), 2);
    assert_eq!(slack.find(&channel, handle, &thread).await.unwrap(), Lookup::CannotTell);
}
