//! A platform that does as a test says and counts what stands on it, and a desk to work from.
//!
//! It stands for platforms that no local server plays: its failures are those of the provider
//! port's contract. The feed and the real Bluesky PDS are tested over HTTP.
#![expect(dead_code, clippy::unwrap_used, reason = "each test file uses its part, and fails by panicking")]

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use annals_commands::{
    bus::{CommandBus, Context},
    ports::{
        clock::ManualClock,
        social::{
            ChannelAccess, ConnectMethod, ConnectRequest, ConnectedAccount, ContentProblem, FailureClass,
            Figure, IdempotencyKind, KindLimits, Lookup, OutgoingPart, OutgoingPost, PlatformInfo,
            PlatformLimits, PlatformMedia, Platforms, PostReading, ProviderError, PublishHandle, Published,
            SocialProvider,
        },
    },
    publishing::{
        Channels, Posts, PublishTimer,
        channels::NewChannel,
        posts::{Member, PostRequest, Whose},
    },
    timers::{Fired, Timer, TimerHandler},
};
use annals_domain::{
    kernel::{IntegrationId, OrganizationId, PostId, TimeZone, UserId},
    publishing::{
        Post,
        figures::AccountCounts,
        post::{DeliveryState, Draft, Due, Plan, Schedule},
    },
};
use annals_eventstore::{EventStore, Opening, StoreOptions, StreamId, testing::TestDatabase};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support;

/// What the platform does with the next call to publish; by default it publishes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    Publish,
    Fail(FailureClass),
    /// Publishes, and the answer never comes.
    PublishAndHang,
    /// Does nothing, and the answer never comes.
    Hang,
}

pub(crate) struct Platform {
    info: PlatformInfo,
    pub(crate) script: Mutex<VecDeque<Next>>,
    /// What stands there, by handle and part: more than one text is a doubled part.
    pub(crate) stands: Mutex<HashMap<(PublishHandle, usize), Vec<String>>>,
    pub(crate) calls: Mutex<u32>,
    /// The files that came in, with what they show.
    pub(crate) shown: Mutex<Vec<(String, Vec<u8>)>>,
    /// Which account answers a sign-in.
    pub(crate) account: Mutex<String>,
    /// The token that it takes; another one has to be refreshed.
    pub(crate) token: Mutex<u32>,
    /// What a refresh answers instead of the token.
    pub(crate) refresh_answer: Mutex<Option<Value>>,
    /// What a refresh fails with instead.
    pub(crate) refresh_failure: Mutex<Option<FailureClass>>,
    pub(crate) refreshes: Mutex<u32>,
    /// When the credentials with a token end, if they do.
    pub(crate) ends: Mutex<HashMap<u64, DateTime<Utc>>>,
    /// Whether it can be asked what stands there.
    pub(crate) searchable: bool,
    /// What it counts; nothing, unless a test says so.
    pub(crate) counting: Mutex<Counting>,
}

/// What a platform counts, and what it answers instead.
#[derive(Default)]
pub(crate) struct Counting {
    pub(crate) given: &'static [Figure],
    pub(crate) account: AccountCounts,
    /// By remote id; others are left out of the answer.
    pub(crate) posts: HashMap<String, PostReading>,
    /// What the next questions fail with, and when it asks to come back.
    pub(crate) failures: VecDeque<(FailureClass, Option<Duration>)>,
    /// What questions about posts fail with.
    pub(crate) posts_fail: Option<FailureClass>,
    /// Whether the answer never comes.
    pub(crate) hangs: bool,
    /// Questions about the account.
    pub(crate) accounts_asked: usize,
    /// Questions about posts, by how many at once.
    pub(crate) posts_asked: Vec<usize>,
}

impl Platform {
    pub(crate) fn new(idempotency: IdempotencyKind) -> Arc<Self> {
        Self::showing(idempotency, Some(shown()))
    }

    /// With these files in posts, or none.
    pub(crate) fn showing(idempotency: IdempotencyKind, media: Option<PlatformMedia>) -> Arc<Self> {
        let limits = PlatformLimits { text_chars_max: 20, thread_parts_max: 2, media };
        Arc::new(Self {
            info: PlatformInfo {
                identifier: "stage",
                name: "Stage",
                connect: ConnectMethod::None,
                limits,
                settings: Vec::new(),
                idempotency,
            },
            script: Mutex::default(),
            stands: Mutex::default(),
            calls: Mutex::default(),
            shown: Mutex::default(),
            account: Mutex::new("ada".to_string()),
            token: Mutex::new(1),
            refresh_answer: Mutex::default(),
            refresh_failure: Mutex::default(),
            refreshes: Mutex::default(),
            ends: Mutex::default(),
            searchable: idempotency != IdempotencyKind::None,
            counting: Mutex::default(),
        })
    }

    pub(crate) fn next(&self, script: impl IntoIterator<Item = Next>) {
        self.script.lock().extend(script);
    }

    /// A question about figures: fails, hangs or goes on as it was told.
    async fn asked(
        &self,
        channel: &ChannelAccess,
        note: impl FnOnce(&mut Counting),
    ) -> Result<(), ProviderError> {
        if channel.credentials != json!({"token": *self.token.lock()}) {
            return Err(ProviderError::new(FailureClass::RefreshToken, "the token has expired"));
        }
        let (failure, hangs) = {
            let mut counting = self.counting.lock();
            note(&mut counting);
            (counting.failures.pop_front(), counting.hangs)
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        let Some((class, retry_after)) = failure else { return Ok(()) };
        Err(ProviderError { retry_after, ..ProviderError::new(class, format!("as told: {class:?}")) })
    }

    /// Posts that stand there, doubled ones counted as often as they stand.
    pub(crate) fn count(&self) -> usize {
        self.stands.lock().values().map(Vec::len).sum()
    }

    fn act(&self, handle: PublishHandle, post: &OutgoingPost) -> Published {
        let mut stands = self.stands.lock();
        let part = post.standing.len();
        assert_eq!(post.parts.len(), part + 1, "one part at a time");
        let there = stands.entry((handle, part)).or_default();
        if there.is_empty() || self.info.idempotency != IdempotencyKind::ByHandle {
            there.push(post.parts[part].text.clone());
        }
        published(handle, part)
    }

    /// The texts of a post on a channel, part by part.
    pub(crate) fn texts(&self, post: PostId, channel: IntegrationId) -> Vec<String> {
        let stands = self.stands.lock();
        let mut parts: Vec<_> =
            stands.iter().filter(|((at, _), _)| (at.post, at.channel) == (post, channel)).collect();
        parts.sort_by_key(|((_, part), _)| *part);
        parts.into_iter().flat_map(|(_, texts)| texts.clone()).collect()
    }
}

/// Two images of up to a million bytes.
fn shown() -> PlatformMedia {
    PlatformMedia { files_max: 2, alt_chars_max: 100, kinds: vec![KindLimits::images(1_000_000)] }
}

fn published(handle: PublishHandle, part: usize) -> Published {
    Published { remote_id: format!("stage:{}:{}:{part}", handle.post, handle.channel), url: None }
}

#[async_trait]
impl SocialProvider for Platform {
    fn info(&self) -> &PlatformInfo {
        &self.info
    }

    async fn authenticate(&self, request: ConnectRequest) -> Result<ConnectedAccount, ProviderError> {
        if request.credentials == json!({"password": "wrong"}) {
            return Err(ProviderError::new(FailureClass::Disconnected, "the password is wrong"));
        }
        let account = self.account.lock().clone();
        Ok(ConnectedAccount {
            remote_id: account.clone(),
            name: account,
            handle: None,
            url: None,
            picture: None,
            credentials: json!({"token": *self.token.lock()}),
        })
    }

    async fn refresh(&self, _: &ChannelAccess) -> Result<Value, ProviderError> {
        *self.refreshes.lock() += 1;
        if let Some(class) = *self.refresh_failure.lock() {
            return Err(ProviderError::new(class, format!("as told: {class:?}")));
        }
        let answer = self.refresh_answer.lock().clone();
        Ok(answer.unwrap_or_else(|| json!({"token": *self.token.lock()})))
    }

    fn expires_at(&self, credentials: &Value) -> Option<DateTime<Utc>> {
        self.ends.lock().get(&credentials["token"].as_u64()?).copied()
    }

    fn check(&self, parts: &[OutgoingPart]) -> Vec<ContentProblem> {
        let is_long = |(part, OutgoingPart { text, .. }): (usize, &OutgoingPart)| {
            let message = format!("has {} characters, Stage takes 20", text.chars().count());
            (text.chars().count() > 20).then_some(ContentProblem { part, message })
        };
        parts.iter().enumerate().filter_map(is_long).collect()
    }

    async fn publish(
        &self,
        channel: &ChannelAccess,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Published, ProviderError> {
        *self.calls.lock() += 1;
        if channel.credentials != json!({"token": *self.token.lock()}) {
            return Err(ProviderError::new(FailureClass::RefreshToken, "the token has expired"));
        }
        for attachment in &post.parts[post.standing.len()].attachments {
            let bytes = attachment.source.read().await?;
            let alt = attachment.alt_text.clone().unwrap_or_default();
            self.shown.lock().push((alt, bytes));
        }
        let next = self.script.lock().pop_front().unwrap_or(Next::Publish);
        match next {
            Next::Publish => Ok(self.act(handle, post)),
            Next::Fail(class) => Err(ProviderError::new(class, format!("as told: {class:?}"))),
            Next::PublishAndHang => {
                self.act(handle, post);
                std::future::pending().await
            }
            Next::Hang => std::future::pending().await,
        }
    }

    fn figures(&self) -> &'static [Figure] {
        self.counting.lock().given
    }

    async fn account_figures(&self, channel: &ChannelAccess) -> Result<AccountCounts, ProviderError> {
        self.asked(channel, |counting| counting.accounts_asked += 1).await?;
        Ok(self.counting.lock().account)
    }

    async fn post_figures(
        &self,
        channel: &ChannelAccess,
        remote_ids: &[String],
    ) -> Result<HashMap<String, PostReading>, ProviderError> {
        self.asked(channel, |counting| counting.posts_asked.push(remote_ids.len())).await?;
        let counting = self.counting.lock();
        if let Some(class) = counting.posts_fail {
            return Err(ProviderError::new(class, format!("as told: {class:?}")));
        }
        let known = remote_ids.iter().filter_map(|id| Some((id.clone(), *counting.posts.get(id)?)));
        Ok(known.collect())
    }

    async fn find(
        &self,
        _: &ChannelAccess,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Lookup, ProviderError> {
        let part = post.standing.len();
        Ok(match self.stands.lock().contains_key(&(handle, part)) {
            _ if !self.searchable => Lookup::CannotTell,
            true => Lookup::Found(published(handle, part)),
            false => Lookup::NotFound,
        })
    }
}

/// A node with its clock, a platform, and an organization that writes.
pub(crate) struct Desk {
    pub(crate) database: TestDatabase,
    pub(crate) clock: ManualClock,
    pub(crate) bus: CommandBus,
    pub(crate) platform: Arc<Platform>,
    pub(crate) platforms: Platforms,
    pub(crate) channels: Channels,
    pub(crate) posts: Posts,
    pub(crate) member: Member,
}

impl Desk {
    pub(crate) async fn new(idempotency: IdempotencyKind) -> Self {
        Self::at(Platform::new(idempotency)).await
    }

    pub(crate) async fn at(platform: Arc<Platform>) -> Self {
        let database = support::database().await;
        let now = "2026-05-01T09:00:00Z".parse().unwrap();
        let clock = ManualClock::at(now);
        let platforms = Platforms::new([Arc::clone(&platform) as Arc<dyn SocialProvider>]);
        let bus = node(&database, &clock).await;
        Self {
            channels: Channels::new(bus.clone(), platforms.clone()),
            posts: Posts::new(bus.clone(), platforms.clone()),
            member: Member {
                organization: OrganizationId::new(Uuid::now_v7()),
                user: UserId::new(Uuid::now_v7()),
                posts: Whose::Own,
            },
            database,
            clock,
            bus,
            platform,
            platforms,
        }
    }

    pub(crate) async fn connect(&self) -> IntegrationId {
        let outcome = self.channels.connect(&support::context(), self.new_channel()).await.unwrap();
        outcome.value.unwrap()
    }

    pub(crate) fn new_channel(&self) -> NewChannel {
        NewChannel {
            organization: self.member.organization,
            by: self.member.user,
            platform: "stage".to_string(),
            name: None,
            credentials: json!({}),
        }
    }

    pub(crate) fn request(&self, text: &str, channels: &[IntegrationId], minutes: i64) -> PostRequest {
        let at = self.bus.now() + TimeDelta::minutes(minutes);
        PostRequest {
            draft: Draft {
                content: text.to_string(),
                targets: channels.iter().map(|channel| (*channel).into()).collect(),
                ..Draft::default()
            },
            tags: Vec::new(),
            plan: Plan::Publish(Due::At(Schedule { at, zone: TimeZone::default() })),
        }
    }

    /// A post that is due in ten minutes.
    pub(crate) async fn schedule(&self, channels: &[IntegrationId]) -> PostId {
        let request = self.request("hello", channels, 10);
        self.posts.create(&support::context(), self.member, request).await.unwrap().value.unwrap()
    }

    /// A connected channel and a post on it that is due.
    pub(crate) async fn due(&self) -> (PostId, IntegrationId) {
        let channel = self.connect().await;
        let post = self.schedule(&[channel]).await;
        self.clock.advance(TimeDelta::minutes(10));
        (post, channel)
    }

    /// A worker whose calls end after a few hundred milliseconds.
    pub(crate) fn worker(&self) -> PublishTimer {
        PublishTimer::with_lease(self.bus.clone(), self.platforms.clone(), Duration::from_millis(1_500))
    }

    pub(crate) async fn fire(&self, post: PostId, channel: IntegrationId, attempt: u32) -> Fired {
        self.worker().fire(&timer(post, channel, attempt)).await
    }

    pub(crate) async fn state(&self, post: PostId, channel: IntegrationId) -> DeliveryState {
        let loaded = self.bus.load::<Post>(post).await.unwrap();
        loaded.state.deliveries()[&channel].state.clone()
    }

    /// The short names of a post's events, in order.
    pub(crate) async fn events(&self, post: PostId) -> Vec<String> {
        let stream = StreamId::of::<Post>(post);
        let stored = self.bus.store().read_stream(&stream, 0, 100).await.unwrap();
        stored.iter().map(|event| event.event_type.replace("publishing.post.", "")).collect()
    }

    /// All that is in the log of a stream, as text, opened as far as it still can be.
    pub(crate) async fn opened(&self, stream: StreamId) -> Vec<Value> {
        let store = self.bus.store();
        let mut payloads = Vec::new();
        for stored in store.read_stream(&stream, 0, 100).await.unwrap() {
            let opened = store.open_event(&stored, Opening::Everything).await.unwrap();
            payloads.extend(opened.into_iter().map(|event| event.payload));
        }
        payloads
    }
}

/// Another node on the same log, with a cache of its own.
pub(crate) async fn node(database: &TestDatabase, clock: &ManualClock) -> CommandBus {
    let pool = support::pool_at(&database.url).await;
    let options = StoreOptions::new(annals_eventstore::testing::master_key());
    CommandBus::new(EventStore::open(pool, options).await.unwrap(), Arc::new(clock.clone()))
}

/// The timer that the publisher sets for a post on a channel.
pub(crate) fn timer(post: PostId, channel: IntegrationId, attempt: u32) -> Timer {
    Timer {
        id: Uuid::now_v7(),
        kind: "publishing.publish".to_string(),
        key: format!("{post}:{channel}"),
        due_at: DateTime::<Utc>::UNIX_EPOCH,
        payload: json!({"post": post, "channel": channel, "correlation": Uuid::nil()}),
        attempt,
        caused_by: post.uuid(),
        organization_id: None,
        leased_until: Utc::now() + TimeDelta::minutes(1),
    }
}

pub(crate) fn admin(member: Member) -> Member {
    Member { user: UserId::new(Uuid::now_v7()), posts: Whose::Everybodys, ..member }
}

pub(crate) fn if_match(version: u64) -> Context {
    Context { expected_version: Some(version), ..support::context() }
}
