//! The list, its marks, what is left of it.

use annals_tests::{Server, StatusCode, eventually};
use serde_json::{Value, json};

use crate::support::{PATIENCE, failing, feed_channel, kinds, rows, told};

#[tokio::test]
async fn who_wrote_a_post_that_failed_finds_why_and_what_to_do() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let bo = ada.member("user").await;
    told(&ada.api, 1).await;
    let (post, channel) = failing(&ada.api, "We open a second workshop").await;
    let answer = told(&ada.api, 2).await;
    assert_eq!(kinds(&answer), ["post_failed", "member_joined"], "the newest first");
    let row = rows(&answer).remove(0);
    assert_eq!(row["title"], "Not published on News");
    assert_eq!(row["text"], "“We open a second workshop” was not published: the channel is switched off.");
    assert_eq!(row["whatToDo"], "enable it, then retry");
    assert_eq!(row["about"]["postId"], post.as_str());
    assert_eq!(row["about"]["channelId"], channel.as_str());
    assert_eq!(row["links"]["page"], format!("/console/posts/{post}"));
    assert_eq!(row["links"]["api"], format!("/api/v1/posts/{post}"));
    assert_eq!(row["isRead"], false);
    assert_eq!(answer.at("/meta/unread"), 2);
    assert_eq!(answer.at("/meta/total"), 2);
    let joined = rows(&answer).remove(1);
    assert_eq!(joined["title"], "user joined");
    assert_eq!(joined["about"]["role"], "user");

    assert_eq!(rows(&bo.get("notifications").await.expect(StatusCode::OK)), Vec::<Value>::new());
    // Names are those of now.
    let renamed = json!({"name": "Newsroom"});
    let renamed = ada.api.put(&format!("integrations/{channel}"), renamed).await.expect(StatusCode::OK);
    let after = ada.api.with_header("Annals-After", renamed.position());
    let id = row["id"].as_str().expect("has an id");
    let one = after.get(&format!("notifications/{id}")).await.expect(StatusCode::OK);
    assert_eq!(one.at("/data/title"), "Not published on Newsroom");
}

#[tokio::test]
async fn marks_are_kept_and_all_is_read_up_to_what_was_seen() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    for (count, role) in [(1, "user"), (2, "viewer"), (3, "auditor")] {
        ada.member(role).await;
        told(&ada.api, count).await;
    }
    let seen = told(&ada.api, 3).await;
    let id = |row: usize| seen.text_at(&format!("/data/{row}/id"));
    let unread = |answer: &annals_tests::Answer| answer.at("/data/unread").as_u64();

    let marked = ada.api.post(&format!("notifications/{}/read", id(1)), json!({})).await;
    let marked = marked.expect(StatusCode::OK);
    assert_eq!(marked.at("/data/isRead"), true);
    assert_eq!(unread(&ada.api.get("notifications/unread-count").await), Some(2));
    let left = ada.api.get("notifications?unread=true").await.expect(StatusCode::OK);
    assert_eq!(rows(&left).iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), [id(0), id(2)]);
    let again = ada.api.post(&format!("notifications/{}/unread", id(1)), json!({})).await;
    assert_eq!(again.expect(StatusCode::OK).at("/data/isRead"), false);

    // The newest of what was seen is read; what arrived meanwhile is not.
    let up_to = seen.at("/data/1/position").clone();
    let read = ada.api.post("notifications/read-all", json!({"upTo": up_to})).await.expect(StatusCode::OK);
    assert_eq!(unread(&read), Some(1));
    let left = ada.api.get("notifications?unread=true").await.expect(StatusCode::OK);
    assert_eq!(rows(&left)[0]["id"], id(0).as_str());
    // One of those may be taken up again, and all can be read at once.
    ada.api.post(&format!("notifications/{}/unread", id(2)), json!({})).await.expect(StatusCode::OK);
    assert_eq!(unread(&ada.api.get("notifications/unread-count").await), Some(2));
    let all = ada.api.request(annals_tests::Method::POST, "notifications/read-all");
    assert_eq!(unread(&annals_tests::Api::send(all).await.expect(StatusCode::OK)), Some(0));
}

#[tokio::test]
async fn pages_and_bad_input() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    for (count, role) in [(1, "user"), (2, "viewer"), (3, "auditor")] {
        ada.member(role).await;
        told(&ada.api, count).await;
    }
    let page = ada.api.get("notifications?perPage=2&page=2").await.expect(StatusCode::OK);
    assert_eq!((rows(&page).len(), page.at("/meta/totalPages")), (1, &json!(2)));
    for (query, field) in [
        ("page=0", "page"),
        ("page=1001", "page"),
        ("perPage=101", "perPage"),
        ("unread=perhaps", "unread"),
        ("kind=post", "kind"),
    ] {
        let answer = ada.api.get(&format!("notifications?{query}")).await;
        answer.expect_field(StatusCode::BAD_REQUEST, field);
    }
    for (body, field) in [
        (json!({"upTo": 0}), "upTo"),
        (json!({"upTo": u64::MAX}), "upTo"),
        (json!({"upTo": "all"}), "upTo"),
        (json!({"until": 1}), "until"),
    ] {
        let answer = ada.api.post("notifications/read-all", body).await;
        answer.expect_field(StatusCode::BAD_REQUEST, field);
    }
    for path in ["notifications/x", "notifications/00000000-0000-7000-8000-000000000001"] {
        ada.api.get(path).await.expect(StatusCode::NOT_FOUND);
        ada.api.post(&format!("{path}/read"), json!({})).await.expect(StatusCode::NOT_FOUND);
    }
}

/// What programs of Postiz read.
#[tokio::test]
async fn postiz_lists_them_by_its_own_shape() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    ada.member("user").await;
    told(&ada.api, 1).await;
    let key = ada.api.post("settings/api-keys", json!({"name": "n8n"})).await.expect(StatusCode::CREATED);
    let postiz = server.api().with_header("Authorization", key.text_at("/data/key"));
    let answer = postiz.get("/public/v1/notifications?page=0").await.expect(StatusCode::OK);
    assert_eq!(answer.at("/total"), 1);
    assert_eq!(answer.at("/hasMore"), false);
    assert_eq!((answer.at("/page"), answer.at("/limit")), (&json!(0), &json!(20)));
    let content = answer.text_at("/notifications/0/content");
    assert!(content.starts_with("user joined: "), "{content}");
    assert!(answer.text_at("/notifications/0/link").ends_with("/console/people"));
    assert!(answer.at("/notifications/0/createdAt").is_string());
    assert_eq!(postiz.get("/public/v1/notifications?page=").await.expect(StatusCode::OK).at("/total"), 1);
    assert_eq!(postiz.get("/public/v1/notifications?page=7").await.expect(StatusCode::OK).at("/total"), 1);
    postiz.get("/public/v1/notifications?page=x").await.expect(StatusCode::BAD_REQUEST);
}

/// Everything of the table, as text.
async fn table(server: &Server) -> Vec<String> {
    let pool = &server.database().expect("has a database").pool;
    sqlx::query_scalar("select row_to_json(n)::text from read.notifications_v1 n order by id")
        .fetch_all(pool)
        .await
        .expect("reads")
}

#[tokio::test]
async fn built_again_it_is_the_same_and_whoever_is_forgotten_is_gone_from_it() {
    let server = Server::start().await;
    let root = server.api().register("Root").await;
    let ada = root.member("admin").await;
    told(&root.api, 1).await;
    let bo = root.member("user").await;
    told(&root.api, 2).await;
    let of_ada = told(&ada, 1).await;
    let path = format!("notifications/{}/read", of_ada.text_at("/data/0/id"));
    ada.post(&path, json!({})).await.expect(StatusCode::OK);
    feed_channel(&ada, "News").await;
    root.api.post("notifications/read-all", json!({})).await.expect(StatusCode::OK);

    let before = table(&server).await;
    assert_eq!(before.len(), 3);
    let generation = || async {
        let output =
            server.command().args(["projections", "list", "--data"]).arg(server.data()).output().ok()?;
        let table = String::from_utf8(output.stdout).ok()?;
        let rows = table.lines().map(|line| line.split_whitespace().map(str::to_string).collect::<Vec<_>>());
        rows.filter(|row| row.first().is_some_and(|name| name == "notifications"))
            .filter(|row| row.last().is_some_and(|state| state == "live"))
            .find_map(|row| row.get(2)?.parse::<u32>().ok())
    };
    let first = generation().await;
    let rebuild = server
        .command()
        .args(["projections", "rebuild", "notifications", "--reason", "to compare", "--data"])
        .arg(server.data())
        .output()
        .expect("annals runs");
    assert!(rebuild.status.success(), "{}", String::from_utf8_lossy(&rebuild.stderr));
    eventually("it is built again", PATIENCE, || async { (generation().await > first).then_some(()) }).await;
    assert_eq!(table(&server).await, before);

    // What Ada was told goes with Ada; that Bo joined stands, without the name, when Bo is gone.
    ada.delete("users/account").await.expect(StatusCode::OK);
    bo.delete("users/account").await.expect(StatusCode::OK);
    eventually("hers are gone", PATIENCE, || async { (table(&server).await.len() == 2).then_some(()) }).await;
    let left = eventually("the names are gone", PATIENCE, || async {
        let left = root.api.get("notifications").await.expect(StatusCode::OK);
        (left.at("/data/0/title") == "Somebody joined").then_some(left)
    })
    .await;
    assert!(rows(&left).iter().all(|row| row["isRead"] == true));
}
