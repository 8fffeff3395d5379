//! A policy with small tiers, organizations of them, and short ways to fill them.

use std::{process::Output, time::Duration};

use annals_tests::{Account, Answer, Api, Server, Settings, StatusCode, eventually};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// Small enough to be full after a few calls.
const POLICY: &str = r#"
[[tier]]
name = "small"
title = "Small"
quotas = { channels = 2, posts_per_month = 3, members = 2, media_bytes = 100_000, api_keys = 1 }
calls_per_minute = { user = 30, api_key = 6 }

[[tier]]
name = "medium"
title = "Medium"
quotas = { channels = 3, posts_per_month = 5, members = 3, api_keys = 1 }
calls_per_minute = { user = 60, api_key = 12 }

[[tier]]
name = "large"
title = "Large"
"#;

/// A server with the policy, and its operator: the first account of a machine that only itself reaches.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) operator: Account,
    /// The policy lives as long as the server, which reads it again when it is restarted.
    _policy: NamedTempFile,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let policy = policy(POLICY);
        let server =
            Server::start_with(settings.variable("ANNALS_TIERS_POLICY", policy.path().display())).await;
        let operator = server.api().register("Ada").await;
        Self { server, operator, _policy: policy }
    }

    /// Somebody with an organization of this tier.
    pub(crate) async fn tenant(&self, name: &str, tier: &str) -> Account {
        let account = self.server.api().register(name).await;
        self.set(&account.organization_id, tier).await;
        account
    }

    pub(crate) async fn set(&self, organization: &str, tier: &str) -> Answer {
        let body = json!({"tier": tier, "reason": "for the test"});
        let path = format!("admin/organizations/{organization}/tier");
        self.operator.api.put(&path, body).await.expect(StatusCode::OK)
    }
}

/// A policy in a file that the program can read.
pub(crate) fn policy(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("is written");
    file
}

/// Waits until so much of a quota is used, and this is its limit.
pub(crate) async fn used(account: &Account, quota: &str, used: u64, limit: Option<u64>) {
    uses(account, "", quota, (json!(used), json!(limit))).await;
}

/// Waits until so many posts are due in the month of this time.
pub(crate) async fn posts_in(account: &Account, at: &str, used: u64) {
    let month = format!("?month={}", &at[..7]);
    uses(account, &month, "posts_per_month", (json!(used), Value::Null)).await;
}

/// The read model follows the log: a limit that is null is not looked at.
async fn uses(account: &Account, query: &str, quota: &str, expected: (Value, Value)) {
    let path = format!("agencies/{}/usage{query}", account.organization_id);
    let what = format!("{quota} are {expected:?}");
    eventually(&what, Duration::from_secs(30), || async {
        let usage = account.api.get(&path).await.expect(StatusCode::OK);
        let (used, limit) = of(usage.at("/data/quotas"), quota);
        (used == expected.0 && (expected.1.is_null() || limit == expected.1)).then_some(())
    })
    .await;
}

pub(crate) fn of(quotas: &Value, quota: &str) -> (Value, Value) {
    let all = quotas.as_array().cloned().unwrap_or_default();
    let found = all.into_iter().find(|one| one["name"] == quota).unwrap_or_default();
    (found["used"].clone(), found["limit"].clone())
}

/// That a call was refused for want of more of this.
#[track_caller]
pub(crate) fn exceeded(answer: &Answer, quota: &str, more_in: Value) {
    assert_eq!(
        (answer.status, answer.at("/code")),
        (StatusCode::CONFLICT, &json!("QUOTA_EXCEEDED")),
        "{}",
        answer.text
    );
    assert_eq!(answer.at("/quota/name"), quota, "{}", answer.text);
    assert_eq!(answer.at("/quota/moreIn"), &more_in, "{}", answer.text);
}

pub(crate) async fn connect(api: &Api, name: &str) -> Answer {
    api.post("integrations/connect", json!({"platform": "feed", "name": name})).await
}

pub(crate) fn post(channel: &str, at: &str) -> Value {
    json!({"content": "hello", "type": "schedule", "scheduledAt": at, "integrations": [{"id": channel}]})
}

/// One of the program's other commands, on the server's database and data.
pub(crate) fn run(server: &Server, arguments: &[&str]) -> Output {
    server.command().args(arguments).arg("--data").arg(server.data()).output().expect("annals runs")
}

#[track_caller]
pub(crate) fn succeeds(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
pub(crate) fn fails(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}
