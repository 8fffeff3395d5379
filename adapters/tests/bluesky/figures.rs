//! What an AppView counts, as the PDS passes it on. The PDS of the tests has none behind it: what it answers
//! is looked at as it is, and an AppView's documented answers come from a stub in its place.

use annals_commands::ports::social::{FailureClass, PostReading, SocialProvider};
use annals_domain::publishing::figures::{AccountCounts, PostCounts};
use serde_json::json;

use crate::{
    pds::{bluesky, channel, handle, pds, post},
    proxy::{Proxy, Verdict},
};

#[tokio::test]
async fn a_pds_whose_app_view_is_away_gives_no_figures_and_loses_no_channel() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let channel = channel(&pds.url, &account).await;
    let published = bluesky().publish(&channel, handle(&channel), &post(&["one"])).await.unwrap();
    let of_account = bluesky().account_figures(&channel).await.unwrap_err();
    let of_post = bluesky().post_figures(&channel, &[published.remote_id]).await.unwrap_err();
    for error in [of_account, of_post] {
        assert_eq!(error.class, FailureClass::Retry, "{error}");
    }
}

#[tokio::test]
async fn a_pds_without_an_app_view_is_said_to_give_none() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let mut channel = channel(&pds.url, &account).await;
    let bare = Proxy::start(&pds.url, |_| {
        Verdict::Answer(501, r#"{"error":"MethodNotImplemented","message":"Method Not Implemented"}"#)
    })
    .await;
    channel.credentials["pds"] = json!(bare.url);
    let error = bluesky().account_figures(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Unsupported, "{error}");
    assert!(error.message.contains("AppView"), "{error}");
}

#[tokio::test]
async fn what_an_app_view_counts_is_read_and_what_it_leaves_out_stays_out() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let mut channel = channel(&pds.url, &account).await;
    let app_view = Proxy::start(&pds.url, |call| match call.method {
        "app.bsky.feed.getPosts" => Verdict::Answer(
            200,
            r#"{"posts":[{"uri":"at://a/app.bsky.feed.post/1","cid":"x","likeCount":3,"replyCount":1,"repostCount":2,"quoteCount":1},
                {"uri":"at://a/app.bsky.feed.post/2","cid":"y","likeCount":0}]}"#,
        ),
        "app.bsky.actor.getProfile" => {
            Verdict::Answer(200, r#"{"did":"did:plc:a","handle":"a.test","followersCount":7,"postsCount":2}"#)
        }
        _ => Verdict::Forward,
    })
    .await;
    channel.credentials["pds"] = json!(app_view.url);
    let uris: Vec<String> = (1..=3).map(|n| format!("at://a/app.bsky.feed.post/{n}")).collect();
    let read = bluesky().post_figures(&channel, &uris).await.unwrap();
    let counts = |likes, comments, shares| {
        PostReading::Counts(PostCounts { likes, comments, shares, ..PostCounts::default() })
    };
    assert_eq!(read[&uris[0]], counts(Some(3), Some(1), Some(3)));
    assert_eq!(read[&uris[1]], counts(Some(0), None, None));
    assert_eq!(read.get(&uris[2]), None, "it may not have reached the AppView yet");
    let read = bluesky().account_figures(&channel).await.unwrap();
    assert_eq!(read, AccountCounts { followers: Some(7), following: None, posts: Some(2) });
}
