//! Nodes on one database, and people who call them.

use std::{future::Future, net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use annals_adapters::{
    files::StoredFiles,
    mail::{MailFolder, Outgoing, Transport},
    net::{HttpClient, OutboundPolicy},
};
use annals_api::{
    http::{
        config::{HttpConfig, RateLimitPolicy},
        tokens::Tokens,
    },
    identity::IdentityDirectory,
    operations::Operations,
    publishing::{DeskLimits, MediaDesk},
    read_models,
    rights::Rights,
    server::{self, ServerOptions},
    state::{AppState, Edge},
};
use annals_commands::{
    bus::CommandBus,
    engagement::{MailRoom, MailTimer},
    identity::{
        ExpireInvitations, ExternalSignIn, FirstAccount, Identity, IdentityOptions, InvitationExpiry,
        PasswordHasher, snapshot_policies,
    },
    ports::{
        clock::ManualClock,
        sign_in::{
            ProviderInfo, SignInFailure, SignInGrant, SignInProvider, SignInProviders, SignInRequest,
            VouchedFor,
        },
        social::Platforms,
    },
    process::ProcessManagers,
    timers::{TimerHandler, TimerWorkers},
};
use annals_domain::{
    identity::{ExternalSubject, Issuer, ProviderName},
    kernel::EmailAddress,
};
use annals_eventstore::{
    EventStore, SnapshotPolicy, StoreOptions,
    notary::{Notary, NotaryKey},
    testing::{self, TestDatabase},
};
use async_trait::async_trait;
use chrono::Utc;
use reqwest::{Client, Method, header::HeaderMap};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use url::Url;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// One installation: a database, a clock, a folder for mail, any number of nodes.
pub(crate) struct House {
    pub(crate) database: TestDatabase,
    pub(crate) clock: ManualClock,
    data: tempfile::TempDir,
}

/// A server of a house. Its tasks end with it.
pub(crate) struct Node {
    url: String,
    client: Client,
    pub(crate) state: AppState,
    stop: CancellationToken,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Somebody with tokens.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) organization: String,
    pub(crate) token: String,
    pub(crate) refresh: String,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl House {
    pub(crate) async fn new() -> Self {
        let database = testing::database().await;
        annals_commands::migrate(&database.pool).await.unwrap();
        let data = tempfile::tempdir().unwrap();
        Self { database, clock: ManualClock::at(Utc::now()), data }
    }

    pub(crate) fn mail(&self) -> PathBuf {
        self.data.path().join("mail")
    }

    /// Every mail to a person.
    pub(crate) fn mails(&self, to: &Person) -> Vec<String> {
        let files = std::fs::read_dir(self.mail().join(format!("user-{}", to.id)));
        let paths = files.into_iter().flatten().map(|file| file.unwrap().path());
        let written = paths.filter(|path| path.extension().is_some_and(|end| end == "eml"));
        written.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    }

    /// Waits for the mail with this subject to this address; the token in it.
    pub(crate) async fn mailed(&self, to: &Person, subject: &str, address: &str) -> String {
        let found = || {
            let (subject, address) = (format!("Subject: {subject}\r\n"), format!("To: {address}\r\n"));
            self.mails(to).into_iter().find(|mail| mail.contains(&subject) && mail.contains(&address))
        };
        eventually(&format!("a mail {subject:?} to {address}"), || async { found().is_some() }).await;
        let mail = found().unwrap();
        mail.split("#token=").nth(1).unwrap().split_whitespace().next().unwrap().to_string()
    }

    /// A node that does everything.
    pub(crate) async fn node(&self) -> Node {
        self.node_of(FirstAccount::Ordinary).await
    }

    pub(crate) async fn node_of(&self, first_account: FirstAccount) -> Node {
        let pool = PgPoolOptions::new().max_connections(12).connect(&self.database.url).await.unwrap();
        let clock = Arc::new(self.clock.clone());
        let mut options = StoreOptions::new(testing::master_key());
        // Often, so that the tests meet snapshots.
        let often = |policy: SnapshotPolicy| SnapshotPolicy { every: 3, ..policy };
        options.snapshots = snapshot_policies().map(|(kind, policy)| (kind, often(policy))).into();
        let store = EventStore::open(pool.clone(), options).await.unwrap();
        let bus = CommandBus::new(store.clone(), clock.clone());
        let identity =
            Identity::new(bus.clone(), PasswordHasher::default(), IdentityOptions { first_account });
        let mut config = HttpConfig::new("http://127.0.0.1:3000".parse().unwrap());
        config.rate_limits = RateLimitPolicy::off();
        let public_url = config.public_url.clone();
        let directory = Arc::new(IdentityDirectory::new(identity.clone()));
        let rights = Rights::built_in().await.unwrap();
        let tokens = Tokens::new(&[7; 32], &[]);
        let (timers_pool, timers_clock) = (pool.clone(), clock.clone());
        let notary = Notary::new(pool.clone(), NotaryKey::new(&[7; 32], None).unwrap());
        let edge = Edge::new(config, rights, tokens, directory, clock, Some(pool));

        let stop = CancellationToken::new();
        let projector = read_models::projector(store.clone());
        let reader = projector.reader();
        tokio::spawn(projector.run(stop.clone()));
        let sender = "Annals <annals@example.org>".parse().unwrap();
        let mailer = Arc::new(Outgoing::new(MailFolder::new(self.mail()), sender, Transport::Files));
        let mail_room = MailRoom::new(mailer.clone(), Arc::new(self.clock.clone()));
        let managers = ProcessManagers::new(bus.clone()).with(mail_room).with(InvitationExpiry);
        let managing = managers.start(stop.clone()).await.unwrap();
        let handlers: Vec<Arc<dyn TimerHandler>> = vec![
            Arc::new(ExpireInvitations::new(identity.clone())),
            Arc::new(MailTimer::new(bus.clone(), mailer, public_url)),
        ];
        let timers = TimerWorkers::new(timers_pool, timers_clock, handlers)
            .with_poll_interval(Duration::from_millis(100));
        let firing = timers.start(stop.clone());

        let platforms = Platforms::default();
        let operations = Operations::new(bus.clone(), read_models::projector(bus.store().clone()).admin());
        let files = Arc::new(StoredFiles::in_folder(&self.data.path().join("files")).unwrap());
        let client = HttpClient::new(OutboundPolicy::default()).unwrap();
        let uploads = self.data.path().join("uploads");
        let media = MediaDesk::open(bus.clone(), files, &uploads, client, DeskLimits::default()).unwrap();
        let state = AppState {
            sign_in: ExternalSignIn::new(
                identity.clone(),
                SignInProviders::new(vec![Arc::new(Vouching::new())]),
            ),
            media,
            bus,
            identity,
            reader,
            platforms,
            notary,
            operations,
            samples: annals_api::console::samples::Samples::default(),
            edge: Arc::new(edge),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let options = ServerOptions { workers: 2, shutdown_timeout: Duration::from_secs(1) };
        let server = server::start(state.clone(), listener, options).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        let stopped = stop.clone();
        tokio::spawn(async move {
            stopped.cancelled().await;
            handle.stop(false).await;
            managing.stopped().await;
            firing.stopped().await;
        });
        let client = Client::builder().user_agent("annals-tests").build().unwrap();
        let node = Node { url, client, state, stop };
        eventually("the read models are built", || async {
            let applied = node.state.reader.applied().await.unwrap_or_default();
            applied.len() >= read_models::SHAPES.len() && applied.iter().all(|one| one.state == "live")
        })
        .await;
        node
    }
}

impl Node {
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let json = response.json().await.unwrap_or(Value::Null);
        Reply { status, headers, json }
    }

    /// Nobody in particular calls.
    pub(crate) async fn anonymous(&self, method: &str, path: &str, body: Value) -> Reply {
        self.send(method, path, &[], Some(&body)).await
    }

    /// Reads what anybody has written until now.
    pub(crate) async fn get(&self, who: &Person, path: &str) -> Reply {
        let head = self.state.bus.store().head().await.unwrap().to_string();
        let token = bearer(&who.token);
        self.send("GET", path, &[("authorization", &token), ("annals-after", &head)], None).await
    }

    pub(crate) async fn call(&self, who: &Person, method: &str, path: &str, body: Value) -> Reply {
        self.send(method, path, &[("authorization", &bearer(&who.token))], Some(&body)).await
    }

    /// A command without a body.
    pub(crate) async fn act(&self, who: &Person, method: &str, path: &str) -> Reply {
        self.send(method, path, &[("authorization", &bearer(&who.token))], None).await
    }

    pub(crate) async fn register(&self, email: &str) -> Person {
        let body = json!({"email": email, "password": PASSWORD, "name": "Ada Lovelace"});
        Person::of(&self.anonymous("POST", "/auth/register", body).await.expect(201))
    }

    pub(crate) async fn log_in(&self, email: &str) -> Person {
        let body = json!({"email": email, "password": PASSWORD});
        Person::of(&self.anonymous("POST", "/auth/login", body).await.expect(200))
    }

    /// Somebody new, invited by `by` into their organization and switched to it.
    pub(crate) async fn join(&self, by: &Person, email: &str, role: &str) -> Person {
        let (token, person) = self.invite(by, email, role).await;
        self.call(&person, "POST", "/agencies/invitations/accept", json!({"token": token})).await.expect(200);
        self.switch(&person, &by.organization).await
    }

    /// The invitation's token, and whom it is for, with an account.
    pub(crate) async fn invite(&self, by: &Person, email: &str, role: &str) -> (String, Person) {
        let path = format!("/agencies/{}/invite", by.organization);
        let invited = self.call(by, "POST", &path, json!({"email": email, "role": role})).await.expect(201);
        (invited["data"]["token"].as_str().unwrap().to_string(), self.register(email).await)
    }

    pub(crate) async fn switch(&self, who: &Person, organization: &str) -> Person {
        Person::of(&self.act(who, "POST", &format!("/agencies/{organization}/switch")).await.expect(200))
    }
}

impl Node {
    /// Links what [`Vouching`] vouches for with this code.
    pub(crate) async fn link(&self, who: &Person, code: &str) -> Reply {
        let body = json!({"provider": "vouching"});
        let begun = self.call(who, "POST", "/users/identities", body).await;
        let cookie = begun.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_string();
        let json = begun.expect(200);
        let url: Url = json["data"]["url"].as_str().unwrap().parse().unwrap();
        let path = format!("/auth/callback/vouching?code={code}&{}", url.query().unwrap());
        self.send("GET", &path, &[("cookie", &cookie)], None).await
    }
}

/// Somebody else's provider, of which the tests in `tests/` have real ones: the code says who it is, as
/// `subject:address`.
struct Vouching {
    info: ProviderInfo,
}

impl Vouching {
    fn new() -> Self {
        let info = ProviderInfo {
            name: ProviderName::parse("vouching").unwrap(),
            label: "Vouching".to_string(),
            issuer: Issuer::parse("https://vouching.example").unwrap(),
        };
        Self { info }
    }
}

#[async_trait]
impl SignInProvider for Vouching {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn authorization_url(&self, request: &SignInRequest) -> Result<Url, SignInFailure> {
        Ok(format!("https://vouching.example/?state={}", request.state).parse().unwrap())
    }

    async fn complete(&self, grant: SignInGrant) -> Result<VouchedFor, SignInFailure> {
        let (subject, address) = grant.code.split_once(':').unwrap();
        Ok(VouchedFor {
            subject: ExternalSubject::parse(subject).unwrap(),
            email: EmailAddress::parse(address).ok(),
            email_is_verified: true,
            name: None,
        })
    }
}

impl Person {
    pub(crate) fn of(signed_in: &Value) -> Self {
        let data = &signed_in["data"];
        let text = |value: &Value| value.as_str().expect("is a text").to_string();
        Self {
            id: text(&data["user"]["id"]),
            organization: text(&data["organization"]["id"]),
            token: text(&data["accessToken"]),
            refresh: text(&data["refreshToken"]),
        }
    }
}

impl Reply {
    /// The body, if the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.json);
        assert_eq!(self.json["success"], status < 400, "{}", self.json);
        self.json
    }

    /// The error's code, if the status is this one.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> String {
        self.expect(status)["code"].as_str().expect("an error has a code").to_string()
    }

    /// The fields at fault of a 400.
    #[track_caller]
    pub(crate) fn faults(self) -> Vec<String> {
        let json = self.expect(400);
        let errors = json["errors"].as_array().expect("has errors");
        errors.iter().map(|error| error["field"].as_str().unwrap_or_default().to_string()).collect()
    }
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Waits until it holds, for at most 30 s.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "within 30 s: {what}");
}
