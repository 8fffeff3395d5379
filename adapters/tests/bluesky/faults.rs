//! What the platform's failures and lost answers mean, with the real PDS behind a proxy.

use annals_commands::ports::social::{FailureClass, Lookup, SocialProvider};

use crate::{
    pds::{bluesky, channel, handle, pds, post},
    proxy::{Proxy, Verdict},
};

const PUT: &str = "com.atproto.repo.putRecord";

#[tokio::test]
async fn a_lost_answer_is_unknown_then_found_and_repeating_it_does_not_double() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let lossy = Proxy::start(&pds.url, |call| match (call.method, call.count) {
        (PUT, 1) => Verdict::LoseAnswer,
        _ => Verdict::Forward,
    })
    .await;
    let channel = channel(&lossy.url, &account).await;
    let (handle, one) = (handle(&channel), post(&["one"]));
    let error = bluesky().publish(&channel, handle, &one).await.unwrap_err();
    assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
    let found = bluesky().find(&channel, handle, &one).await.unwrap();
    let again = bluesky().publish(&channel, handle, &one).await.unwrap();
    assert_eq!(found, Lookup::Found(again));
    assert_eq!(pds.posts(&account.did).await.len(), 1);
    assert_eq!(lossy.seen().iter().filter(|method| *method == PUT).count(), 2, "none was sent unasked");
}

#[tokio::test]
async fn a_thread_that_breaks_off_is_unknown_and_completed_by_repeating_it() {
    let Some(pds) = pds() else { return };
    for second in [
        Verdict::LoseAnswer,
        Verdict::Answer(429, r#"{"error":"RateLimitExceeded","message":"slow down"}"#),
        Verdict::Answer(502, r#"{"error":"UpstreamFailure"}"#),
        Verdict::Answer(400, r#"{"error":"AccountDeactivated"}"#),
    ] {
        let account = pds.account().await;
        let broken = Proxy::start(&pds.url, move |call| match (call.method, call.count) {
            (PUT, 2) => second,
            _ => Verdict::Forward,
        })
        .await;
        let channel = channel(&broken.url, &account).await;
        let (handle, thread) = (handle(&channel), post(&["one", "two", "three"]));
        let error = bluesky().publish(&channel, handle, &thread).await.unwrap_err();
        assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
        assert_eq!(bluesky().find(&channel, handle, &thread).await.unwrap(), Lookup::NotFound);
        let published = bluesky().publish(&channel, handle, &thread).await.unwrap();
        assert_eq!(bluesky().find(&channel, handle, &thread).await.unwrap(), Lookup::Found(published));
        assert_eq!(pds.posts(&account.did).await.len(), 3);
    }
}

#[tokio::test]
async fn a_thread_of_which_a_part_is_refused_is_taken_back() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let picky = Proxy::start(&pds.url, |call| match (call.method, call.count) {
        (PUT, 3) => Verdict::Answer(400, r#"{"error":"InvalidRequest","message":"Invalid record."}"#),
        _ => Verdict::Forward,
    })
    .await;
    let channel = channel(&picky.url, &account).await;
    let thread = post(&["one", "two", "three"]);
    let error = bluesky().publish(&channel, handle(&channel), &thread).await.unwrap_err();
    assert_eq!(error.class, FailureClass::BadContent);
    assert_eq!(error.message, "localhost answered 400: Invalid record");
    assert!(pds.posts(&account.did).await.is_empty());
}

#[tokio::test]
async fn a_thread_that_can_t_be_taken_back_is_unknown() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let stuck = Proxy::start(&pds.url, |call| match (call.method, call.count) {
        (PUT, 2) => Verdict::Answer(400, r#"{"error":"InvalidRequest"}"#),
        ("com.atproto.repo.deleteRecord", _) => Verdict::Answer(502, ""),
        _ => Verdict::Forward,
    })
    .await;
    let channel = channel(&stuck.url, &account).await;
    let thread = post(&["one", "two"]);
    let error = bluesky().publish(&channel, handle(&channel), &thread).await.unwrap_err();
    assert_eq!(error.class, FailureClass::OutcomeUnknown);
    assert!(error.message.starts_with("only 1 of the thread's parts stand"), "{error}");
    assert_eq!(pds.posts(&account.did).await.len(), 1);
}

#[tokio::test]
async fn a_call_that_was_turned_away_can_be_repeated() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let busy = Proxy::start(&pds.url, |call| match call.method {
        PUT => Verdict::Answer(429, r#"{"error":"RateLimitExceeded"}"#),
        _ => Verdict::Forward,
    })
    .await;
    let channel = channel(&busy.url, &account).await;
    let error = bluesky().publish(&channel, handle(&channel), &post(&["one", "two"])).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Retry);
    assert!(pds.posts(&account.did).await.is_empty());
}
