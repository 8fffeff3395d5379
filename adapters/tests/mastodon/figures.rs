//! What the server counts, and what it does not.

use annals_commands::ports::social::{FailureClass, PostReading, SocialProvider};
use annals_domain::publishing::figures::{AccountCounts, PostCounts};
use serde_json::{Value, json};

use crate::{
    proxy::{Proxy, Verdict},
    server::{Account, Server, channel, handle, mastodon, post, server},
};

async fn does(server: &Server, account: &Account, what: &str, body: Value) {
    let url = format!("{}/api/v1/{what}", server.url);
    let call = reqwest::Client::builder().no_proxy().build().unwrap().post(url);
    let answer = call.bearer_auth(&account.token).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{what}: {}", answer.status());
}

#[tokio::test]
async fn posts_and_accounts_are_counted_and_a_post_that_was_deleted_is_gone() {
    let Some(server) = server() else { return };
    let (account, fan) = (server.account().await, server.account().await);
    let channel = channel(&server, &account).await;
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        let published = mastodon().publish(&channel, handle(&channel), &post(&[text])).await.unwrap();
        ids.push(published.remote_id);
    }
    does(&server, &fan, &format!("statuses/{}/favourite", ids[0]), json!({})).await;
    does(&server, &fan, &format!("statuses/{}/reblog", ids[0]), json!({})).await;
    does(&server, &fan, "statuses", json!({"status": "nice", "in_reply_to_id": ids[0]})).await;
    does(&server, &fan, &format!("accounts/{}/follow", account.id), json!({})).await;
    server.delete(&account, &server.statuses(&account).await[2]).await;

    let counts = |likes, comments, shares| {
        let (likes, comments, shares) = (Some(likes), Some(comments), Some(shares));
        PostReading::Counts(PostCounts { likes, comments, shares, ..PostCounts::default() })
    };
    let read = mastodon().post_figures(&channel, &ids).await.unwrap();
    assert_eq!(read[&ids[0]], counts(1, 1, 1));
    assert_eq!(read[&ids[1]], counts(0, 0, 0), "counted, and nobody came");
    assert_eq!(read[&ids[2]], PostReading::Gone);

    let read = mastodon().account_figures(&channel).await.unwrap();
    assert_eq!(read, AccountCounts { followers: Some(1), following: Some(0), posts: Some(2) });
}

#[tokio::test]
async fn a_server_that_shows_one_post_at_a_time_is_asked_so() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let older = Proxy::start(&server.url, |call| match call.method {
        // GET: our own posts were written before.
        "/api/v1/statuses" => Verdict::Answer(404, r#"{"error":"Record not found"}"#),
        _ => Verdict::Forward,
    })
    .await;
    let mut channel = channel(&server, &account).await;
    let published = mastodon().publish(&channel, handle(&channel), &post(&["one"])).await.unwrap();
    channel.credentials["server"] = json!(older.url);
    let read = mastodon().post_figures(&channel, std::slice::from_ref(&published.remote_id)).await.unwrap();
    assert!(matches!(read[&published.remote_id], PostReading::Counts(_)), "{read:?}");
}

#[tokio::test]
async fn a_busy_server_and_one_that_locks_us_out_are_told_apart() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let mut channel = channel(&server, &account).await;
    for (status, body, class) in [
        (429, r#"{"error":"Too many requests"}"#, FailureClass::Retry),
        (503, r#"{"error":"Remote data could not be fetched"}"#, FailureClass::Retry),
        (401, r#"{"error":"The access token is invalid"}"#, FailureClass::Disconnected),
    ] {
        let refusing = Proxy::start(&server.url, move |_| Verdict::Answer(status, body)).await;
        channel.credentials["server"] = json!(refusing.url);
        let of_posts = mastodon().post_figures(&channel, &["1".to_string()]).await.unwrap_err();
        let of_account = mastodon().account_figures(&channel).await.unwrap_err();
        assert_eq!((of_posts.class, of_account.class), (class, class), "{status}: {of_posts}");
    }
}
