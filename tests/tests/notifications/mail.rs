//! What is told by mail, through a real mail server, and how it is stopped.

use annals_tests::{Account, Server, Settings, StatusCode, eventually, maildev};
use serde_json::{Value, json};

use crate::support::{PATIENCE, failing, feed_channel, scheduled, told};

struct Post {
    http_url: String,
}

impl Post {
    /// The mails to an address, oldest first.
    async fn to(&self, address: &str) -> Vec<Value> {
        let mails = reqwest::get(format!("{}/email", self.http_url)).await.expect("answers");
        let mails: Vec<Value> = mails.json().await.expect("is JSON");
        mails.into_iter().filter(|mail| mail["to"][0]["address"] == address).collect()
    }

    async fn titled(&self, address: &str, subject: &str) -> Value {
        eventually(&format!("a mail {subject:?}"), PATIENCE, || async {
            self.to(address).await.into_iter().find(|mail| mail["subject"] == subject)
        })
        .await
    }

    async fn count(&self, address: &str, subject: &str) -> usize {
        self.to(address).await.iter().filter(|mail| mail["subject"] == subject).count()
    }
}

/// Somebody with an address that no other test has.
async fn registered(server: &Server, name: &str) -> Account {
    let email = format!("{name}-{}@example.org", uuid::Uuid::now_v7().simple());
    let body = json!({"email": email, "password": annals_tests::PASSWORD, "name": name});
    server.api().post("auth/register", body).await.expect(StatusCode::CREATED);
    server.api().login(&email, annals_tests::PASSWORD).await
}

fn header(mail: &Value, name: &str) -> String {
    mail["headers"][name].as_str().unwrap_or_default().to_string()
}

#[tokio::test]
async fn a_failed_post_is_mailed_until_one_click_in_the_mail_program() {
    let Some((smtp_url, http_url)) = maildev("a_failed_post_is_mailed_until_one_click_in_the_mail_program")
    else {
        return;
    };
    let post = Post { http_url };
    let server = Server::start_with(Settings::default().variable("ANNALS_MAIL_SMTP_URL", &smtp_url)).await;
    let ada = registered(&server, "ada").await;
    failing(&ada.api, "We open a second workshop").await;
    let mail = post.titled(&ada.email, "Not published on News").await;
    let (text, html) = (mail["text"].as_str().unwrap_or_default(), mail["html"].as_str().unwrap_or_default());
    for part in [text, html] {
        assert!(part.contains("We open a second workshop"), "{part}");
        assert!(part.contains("enable it, then retry"), "{part}");
        assert!(part.contains("/console/unsubscribe#token=un_"), "{part}");
    }
    assert_eq!(header(&mail, "list-unsubscribe-post"), "List-Unsubscribe=One-Click");
    let listed = header(&mail, "list-unsubscribe");
    let one_click = listed.trim_matches(['<', '>']);
    let path = one_click.strip_prefix(&server.url()).expect("leads to us").to_string();
    assert!(path.starts_with("/api/v1/notifications/unsubscribe/un_"), "{path}");

    // As RFC 8058 has it: a form, no cookie, no sign-in. A person who opens it is asked first.
    let by_hand = server.api().get(&path).await.expect(StatusCode::SEE_OTHER);
    let location = by_hand.headers["location"].to_str().expect("is text");
    assert!(location.contains("/console/unsubscribe#token=un_"), "{location}");
    let preferences =
        || async { ada.api.get("notifications/preferences").await.at("/data/post_failed").clone() };
    assert_eq!(preferences().await["email"], true);
    let tampered = format!("{}x", &path[..path.len() - 1]);
    let send = |path: String| {
        let form = server.api().request(annals_tests::Method::POST, &path);
        annals_tests::Api::send(form.form(&[("List-Unsubscribe", "One-Click")]))
    };
    send(tampered).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(preferences().await["email"], true);
    let stopped = send(path.clone()).await.expect(StatusCode::OK);
    assert_eq!(stopped.at("/data/kind"), "post_failed");
    assert_eq!(preferences().await, json!({"inApp": true, "email": false}));
    send(path).await.expect(StatusCode::OK);

    // It is still told in the app; by mail, only what else was asked for.
    let wish = json!({"member_joined": {"email": true}});
    ada.api.patch("notifications/preferences", wish).await.expect(StatusCode::OK);
    failing(&ada.api, "And a third").await;
    told(&ada.api, 2).await;
    ada.member("user").await;
    post.titled(&ada.email, "user joined").await;
    assert_eq!(post.count(&ada.email, "Not published on News").await, 1);
}

#[tokio::test]
async fn an_overdue_post_is_mailed_with_why_and_when_it_was_due() {
    let Some((smtp_url, http_url)) = maildev("an_overdue_post_is_mailed_with_why_and_when_it_was_due") else {
        return;
    };
    let post = Post { http_url };
    let settings = Settings::default()
        .variable("ANNALS_MAIL_SMTP_URL", &smtp_url)
        .variable("ANNALS_WATCHDOG_LATE_BY_S", 2)
        .variable("ANNALS_WATCHDOG_SWEEPS_EVERY_S", 1);
    let server = Server::start_with(settings).await;
    let ada = registered(&server, "ada").await;
    let channel = feed_channel(&ada.api, "News").await;
    scheduled(&ada.api, &channel, "Hello", 6).await;
    let pool = &server.database().expect("has a database").pool;
    eventually("its timer is parked", PATIENCE, || async {
        let parked = sqlx::query(
            "update process.timers set state = 'parked', reason = 'the platform is down'
             where kind = 'publishing.publish'",
        );
        let parked = parked.execute(pool).await.expect("updates").rows_affected();
        (parked == 1).then_some(())
    })
    .await;
    let mail = post.titled(&ada.email, "A post is overdue on News").await;
    let text = mail["text"].as_str().unwrap_or_default();
    for part in
        ["“Hello” should have been published", "the platform is down", "It was due on", "What to do: retry"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(text.contains("/console/posts/"), "{text}");
}
