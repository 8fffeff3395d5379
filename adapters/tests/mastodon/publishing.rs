//! What stands on the server after publishing.

use annals_commands::ports::social::{
    FailureClass, IdempotencyKind, Lookup, OutgoingPost, SocialProvider, check_settings,
};
use annals_domain::publishing::{integration::ServerLimits, media::MediaType};
use chrono::TimeDelta;
use serde_json::json;

use crate::server::{channel, channel_of, connect, gif, handle, mastodon, post, server};

#[tokio::test]
async fn a_thread_hangs_together_and_stands_once_however_often_it_is_published() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let channel = channel(&server, &account).await;
    let (handle, thread) = (handle(&channel), post(&["one", "two https://example.com", "three"]));
    let first = mastodon().publish(&channel, handle, &thread).await.unwrap();
    let before = server.statuses(&account).await;
    assert_eq!(before.len(), 3);
    assert_eq!(first.remote_id, before[0]["id"].as_str().unwrap());
    assert_eq!(before[1]["in_reply_to_id"], before[0]["id"]);
    assert_eq!(before[2]["in_reply_to_id"], before[1]["id"]);
    for _ in 0..3 {
        assert_eq!(mastodon().publish(&channel, handle, &thread).await.unwrap(), first);
    }
    assert_eq!(server.statuses(&account).await.len(), 3);
    assert_eq!(mastodon().info().idempotency, IdempotencyKind::ByHandle);
}

#[tokio::test]
async fn a_thread_that_goes_out_part_by_part_hangs_together() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let channel = channel(&server, &account).await;
    let (handle, mut thread) = (handle(&channel), post(&["one"]));
    for text in ["two", "three"] {
        let stands = mastodon().publish(&channel, handle, &thread).await.unwrap();
        thread.standing.push(stands);
        thread.parts.push(text.into());
        assert_eq!(mastodon().find(&channel, handle, &thread).await.unwrap(), Lookup::NotFound);
    }
    let last = mastodon().publish(&channel, handle, &thread).await.unwrap();
    assert_eq!(mastodon().publish(&channel, handle, &thread).await.unwrap(), last);
    assert_eq!(mastodon().find(&channel, handle, &thread).await.unwrap(), Lookup::Found(last));
    let statuses = server.statuses(&account).await;
    assert_eq!(statuses.len(), 3);
    assert_eq!(statuses[1]["in_reply_to_id"], statuses[0]["id"]);
    assert_eq!(statuses[2]["in_reply_to_id"], statuses[1]["id"]);
}

#[tokio::test]
async fn the_same_text_of_another_post_stands_beside_it() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let channel = channel(&server, &account).await;
    for _ in 0..2 {
        mastodon().publish(&channel, handle(&channel), &post(&["again"])).await.unwrap();
    }
    assert_eq!(server.statuses(&account).await.len(), 2);
}

#[tokio::test]
async fn an_attempt_whose_key_the_server_may_have_forgotten_looks_first() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let channel = channel(&server, &account).await;
    let thread = post(&["early", "and more"]);
    let first = mastodon().publish(&channel, handle(&channel), &thread).await.unwrap();
    // Another handle stands for a key that is forgotten.
    let late = OutgoingPost { at: thread.at - TimeDelta::hours(2), ..thread.clone() };
    assert_eq!(mastodon().publish(&channel, handle(&channel), &late).await.unwrap(), first);
    assert_eq!(server.statuses(&account).await.len(), 2);
}

#[tokio::test]
async fn a_post_is_found_only_if_all_of_it_is_there() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let channel = channel(&server, &account).await;
    let (handle, thread) = (handle(&channel), post(&["one", "two", "three"]));
    let lookup = async || mastodon().find(&channel, handle, &thread).await.unwrap();
    assert_eq!(lookup().await, Lookup::NotFound);
    let published = mastodon().publish(&channel, handle, &thread).await.unwrap();
    assert_eq!(lookup().await, Lookup::Found(published));
    server.delete(&account, &server.statuses(&account).await[2]).await;
    assert_eq!(lookup().await, Lookup::NotFound);
}

#[tokio::test]
async fn a_picture_goes_with_its_alt_text_and_the_channels_warning_and_visibility_hold() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let fields = json!({"visibility": "unlisted", "contentWarning": "politics"});
    let channel = channel_of(connect(&server, &account, fields).await.unwrap());
    let mut shown = post(&["look", "and again"]);
    shown.parts[1].attachments = vec![gif("one white pixel"), gif("and another")];
    mastodon().publish(&channel, handle(&channel), &shown).await.unwrap();
    let statuses = server.statuses(&account).await;
    assert_eq!(statuses.len(), 2);
    for status in &statuses {
        assert_eq!(status["visibility"], "unlisted");
        assert_eq!(status["spoiler_text"], "politics");
    }
    assert_eq!(statuses[0]["media_attachments"], json!([]));
    let media = statuses[1]["media_attachments"].as_array().unwrap();
    let described: Vec<_> = media.iter().map(|file| file["description"].as_str().unwrap()).collect();
    assert_eq!(described, ["one white pixel", "and another"]);
}

#[tokio::test]
async fn what_the_server_would_refuse_is_told_before_and_refused_by_it() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let channel = channel(&server, &account).await;
    let longer = post(&["fine", &"é".repeat(501)]);
    assert_eq!(mastodon().check(&longer.parts)[0].message, "has 501 characters, Mastodon takes 500");
    let error = mastodon().publish(&channel, handle(&channel), &longer).await.unwrap_err();
    assert_eq!(error.class, FailureClass::BadContent);
    assert_eq!(server.statuses(&account).await.len(), 0, "what stood of it is taken back");
}

#[tokio::test]
async fn a_server_says_what_it_takes_and_posts_are_checked_by_that() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let channel = channel(&server, &account).await;
    let own = mastodon().server_limits(&channel).await.unwrap().unwrap();
    assert_eq!((own.text_chars_max, own.link_chars, own.files_max), (Some(500), Some(23), Some(4)));
    assert_eq!(own.image_bytes_max, Some(10_485_760));
    assert!(own.media_types.contains(&MediaType::Mp4) && !own.media_types.contains(&MediaType::Mov));
    let media = mastodon().limits_on(Some(&own)).media.unwrap();
    assert_eq!(media.kinds[0].bytes_max, Some(10_485_760));
    assert_eq!(media.kinds[1].media_types, [MediaType::Mp4]);

    let longer = ServerLimits { text_chars_max: Some(1_000), link_chars: Some(30), ..own };
    let text = post(&[&"é".repeat(970), &format!("{} https://a.example", "é".repeat(969))]);
    assert_eq!(mastodon().check_on(Some(&longer), &text.parts), []);
    let more = post(&[&format!("{} https://a.example", "é".repeat(970))]);
    let problems = mastodon().check_on(Some(&longer), &more.parts);
    assert_eq!(problems[0].message, "has 1001 characters, Mastodon takes 1000");
}

#[tokio::test]
async fn what_a_post_is_told_goes_before_what_its_channel_is() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let fields = json!({"visibility": "unlisted", "contentWarning": "politics"});
    let channel = channel_of(connect(&server, &account, fields).await.unwrap());
    let mut told = post(&["look"]);
    let settings = json!({
        "visibility": "private", "contentWarning": "sport", "sensitive": false, "language": "pt"
    });
    told.settings = settings.as_object().unwrap().clone();
    assert_eq!(check_settings("Mastodon", &mastodon().info().settings, &told.settings), []);
    mastodon().publish(&channel, handle(&channel), &told).await.unwrap();
    let statuses = server.statuses(&account).await;
    assert_eq!(statuses[0]["visibility"], "private");
    assert_eq!(statuses[0]["spoiler_text"], "sport");
    assert_eq!(statuses[0]["language"], "pt");
}
