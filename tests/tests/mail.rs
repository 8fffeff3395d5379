//! Mail on its way through real and unwell mail servers: what is sent is sent once, and what may have been
//! sent is not sent again (invariant 6).

mod mail_server;

use std::time::Duration;

use annals_tests::{Server, Settings, eventually, maildev};
use mail_server::{AfterData, MailServer};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Through this server, with a limit on nothing.
fn through(smtp_url: &str) -> Settings {
    Settings::default().variable("ANNALS_MAIL_SMTP_URL", smtp_url)
}

/// What became of mail, oldest first: `attempted`, `sent`, …
async fn outcomes(server: &Server) -> Vec<String> {
    let pool = &server.database().expect("has a database").pool;
    sqlx::query_scalar(
        "select replace(event_type, 'engagement.mailing.', '') from events
         where aggregate_type = 'engagement.mailing' order by position",
    )
    .fetch_all(pool)
    .await
    .expect("reads")
}

async fn outcomes_are(server: &Server, expected: &[&str], within: Duration) {
    eventually(&format!("mail is {expected:?}"), within, || async {
        (outcomes(server).await == expected).then_some(())
    })
    .await;
}

async fn register(server: &Server, email: &str) -> String {
    let body = json!({"email": email, "password": "correct horse battery staple", "name": "Ada <b>"});
    let answer = server.api().post("auth/register", body).await.expect(StatusCode::CREATED);
    answer.text_at("/data/accessToken")
}

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_real_mail_server_gets_each_mail_once_and_its_links_work() {
    let Some((smtp_url, http_url)) = maildev("a_real_mail_server_gets_each_mail_once_and_its_links_work")
    else {
        return;
    };
    let server =
        Server::start_with(through(&smtp_url).variable("ANNALS_MAIL_FROM", "Acme <acme@example.org>")).await;
    let email = format!("ada-{}@example.org", uuid::Uuid::now_v7().simple());
    let inbox = || async {
        let mails: Vec<Value> =
            reqwest::get(format!("{http_url}/email")).await.expect("answers").json().await.expect("is JSON");
        let is_hers = |mail: &Value| mail["to"][0]["address"] == email.as_str();
        mails.into_iter().filter(is_hers).collect::<Vec<_>>()
    };
    register(&server, &email).await;
    let welcome = eventually("the welcome", SOON, || async { inbox().await.into_iter().next() }).await;
    assert_eq!(welcome["from"][0]["address"], "acme@example.org");
    assert_eq!(welcome["subject"], "Welcome to Annals: verify your mail address");
    let (text, html) =
        (welcome["text"].as_str().unwrap_or_default(), welcome["html"].as_str().unwrap_or_default());
    assert!(text.contains("Hello Ada <b>,"), "{text}");
    assert!(html.contains("Hello Ada &lt;b&gt;,") || html.contains("Hello Ada &#60;b&#62;,"), "{html}");
    let token = |text: &str| {
        text.split("#token=")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap_or_default()
            .to_string()
    };
    assert!(text.contains("/console/verify-email#token=ev_"), "{text}");
    let verify = json!({"token": token(text)});
    server.api().post("auth/verify-email", verify).await.expect(StatusCode::OK);

    server.api().post("auth/forgot-password", json!({"email": email})).await.expect(StatusCode::OK);
    let reset = eventually("the link to reset", SOON, || async {
        inbox().await.into_iter().find(|mail| mail["subject"] == "Set a new password")
    })
    .await;
    let event: uuid::Uuid = sqlx::query_scalar(
        "select event_id from events where event_type = 'identity.user.password_reset_requested'",
    )
    .fetch_one(&server.database().expect("has a database").pool)
    .await
    .expect("reads");
    assert_eq!(reset["messageId"], format!("{event}@example.org"), "the id derives from the event");
    let body = json!({"token": token(reset["text"].as_str().unwrap_or_default()), "password": "a whole other horse"});
    server.api().post("auth/reset-password", body).await.expect(StatusCode::OK);
    outcomes_are(&server, &["attempted", "sent", "attempted", "sent"], SOON).await;
    assert_eq!(inbox().await.len(), 2);
}

#[tokio::test]
async fn a_server_that_hangs_up_after_the_data_may_have_the_mail_and_gets_no_second_one() {
    let smtp = MailServer::start(AfterData::HangUp).await;
    let server = Server::start_with(through(&smtp.url())).await;
    register(&server, "ada@example.org").await;
    outcomes_are(&server, &["attempted", "outcome_unknown"], SOON).await;
    assert_eq!(smtp.mails(), 1);
    // The next one, to somebody else, goes its own way; the first one is not taken up again.
    smtp.now_does(AfterData::Accept);
    register(&server, "grace@example.org").await;
    outcomes_are(&server, &["attempted", "outcome_unknown", "attempted", "sent"], SOON).await;
    assert_eq!(smtp.mails(), 2);
    let timers: i64 =
        sqlx::query_scalar("select count(*) from process.timers where kind = 'engagement.mail'")
            .fetch_one(&server.database().expect("has a database").pool)
            .await
            .expect("reads");
    assert_eq!(timers, 0, "nothing is left to try");
}

#[tokio::test]
async fn what_a_server_did_not_take_is_tried_again_and_what_it_refuses_is_not() {
    let smtp = MailServer::start(AfterData::Busy).await;
    let server = Server::start_with(through(&smtp.url())).await;
    register(&server, "ada@example.org").await;
    outcomes_are(&server, &["attempted", "not_sent"], SOON).await;
    smtp.now_does(AfterData::Accept);
    outcomes_are(&server, &["attempted", "not_sent", "attempted", "sent"], 2 * SOON).await;
    smtp.now_does(AfterData::Refuse);
    register(&server, "grace@example.org").await;
    let all = ["attempted", "not_sent", "attempted", "sent", "attempted", "not_sent"];
    outcomes_are(&server, &all, SOON).await;
    let pool = &server.database().expect("has a database").pool;
    let left: i64 = eventually("the timer is settled", SOON, || async {
        let left = sqlx::query_scalar("select count(*) from process.timers where kind = 'engagement.mail'");
        left.fetch_one(pool).await.ok().filter(|left| *left == 0)
    })
    .await;
    assert_eq!((left, smtp.mails()), (0, 3));
    let log = server.log();
    assert!(!log.contains("grace@example.org"), "what the server said of the address is not logged");
}

#[tokio::test]
async fn a_worker_killed_while_the_server_holds_the_mail_leaves_it_unknown() {
    let smtp = MailServer::start(AfterData::Hold).await;
    let mut server = Server::start_with(through(&smtp.url())).await;
    register(&server, "ada@example.org").await;
    eventually("the server has the mail", SOON, || async { (smtp.mails() == 1).then_some(()) }).await;
    server.kill9();
    smtp.now_does(AfterData::Accept);
    server.restart().await;
    assert_eq!(outcomes(&server).await, ["attempted"], "the killed worker had not heard yet");
    // The dead worker's lease has to end first.
    outcomes_are(&server, &["attempted", "outcome_unknown"], Duration::from_secs(120)).await;
    assert_eq!(smtp.mails(), 1, "it is not sent again");
}
