//! The real PDS: accounts on it, and what stands there.

use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Pds {
    pub(crate) url: String,
    http: reqwest::Client,
}

/// An account's id and handle.
pub(crate) struct Blogger {
    pub(crate) did: String,
    pub(crate) handle: String,
}

impl Pds {
    pub(crate) fn at(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client needs nothing");
        Self { url: url.trim_end_matches('/').to_string(), http }
    }

    pub(crate) async fn blogger(&self) -> Blogger {
        let handle = format!("k{}.test", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let body = json!({"handle": handle, "email": format!("{handle}@example.org"), "password": PASSWORD});
        let url = format!("{}/xrpc/com.atproto.server.createAccount", self.url);
        let response = self.http.post(url).json(&body).send().await.expect("the PDS answers");
        assert!(response.status().is_success(), "{:?}", response.text().await);
        let made: Value = response.json().await.expect("JSON");
        Blogger { did: made["did"].as_str().expect("a DID").to_string(), handle }
    }

    /// The URI and text of every post of the account.
    pub(crate) async fn posts(&self, did: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("text").to_string();
        let records = self.records(did).await;
        records.iter().map(|record| (text(&record["uri"]), text(&record["value"]["text"]))).collect()
    }

    /// Every post of the account as it stands, read page by page.
    pub(crate) async fn records(&self, did: &str) -> Vec<Value> {
        let mut posts = Vec::new();
        let mut cursor = String::new();
        loop {
            let url = format!(
                "{}/xrpc/com.atproto.repo.listRecords?repo={did}&collection=app.bsky.feed.post&limit=100{cursor}",
                self.url
            );
            let page: Value =
                self.http.get(url).send().await.expect("it answers").json().await.expect("JSON");
            posts.extend(page["records"].as_array().expect("records").iter().cloned());
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return posts,
            }
        }
    }
}
