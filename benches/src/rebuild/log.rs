//! A log as an agency's year leaves it: posts written, scheduled, sometimes edited, and published on
//! their channels a few thousand posts later, between sign-ins and programs that call.

use std::collections::VecDeque;

use annals_domain::{
    identity::{ApiKeyEvent, SessionEvent},
    kernel::{AttemptId, IntegrationId, OrganizationId, Secret, TimeZone, UserId},
    publishing::{
        PostEvent,
        post::{Composition, Draft, Failure, FailureClass, Schedule},
    },
};
use annals_eventstore::{
    Actor, ActorKind, Append, ClientInfo, EventStore, Expected, Metadata, NewEvent, Source, StreamAppend,
    StreamId,
};
use anyhow::{Context, anyhow};
use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::DomainEvent;
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

const PEOPLE: usize = 1_000;
const ORGANIZATIONS: usize = 100;
/// Posts of one wave, between which nothing waits for one another.
const WAVE_POSTS: usize = 400;
/// A post is published so many waves after it was written.
const WAVES_AHEAD: usize = 10;
/// Appends that wait for their answer at once: they share commits.
const IN_FLIGHT: usize = 512;

/// Appends at least `wanted` events; how many it were.
pub(super) async fn write(store: &EventStore, wanted: u64) -> anyhow::Result<u64> {
    let mut agency = Agency::new()?;
    let mut written = 0;
    while written < wanted {
        for appends in agency.wave()? {
            written +=
                appends.iter().flat_map(|append| &append.streams).map(|s| s.events.len() as u64).sum::<u64>();
            stream::iter(appends)
                .map(|append| store.append(append))
                .buffer_unordered(IN_FLIGHT)
                .try_for_each(|_| async { Ok(()) })
                .await?;
        }
    }
    Ok(written)
}

/// Prints of what the log consists.
pub(super) async fn describe(store: &EventStore) -> anyhow::Result<()> {
    let (posts, all, bytes): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE aggregate_type = 'publishing.post'), count(*),
                (avg(octet_length(payload::text) + octet_length(metadata::text)))::bigint FROM events",
    )
    .fetch_one(store.pool())
    .await?;
    println!(
        "  {posts} events of posts, {} of identity; {bytes} bytes of payload and metadata each",
        all - posts
    );
    Ok(())
}

struct Post {
    id: Uuid,
    author: usize,
    channels: Vec<IntegrationId>,
    attempts: Vec<AttemptId>,
}

struct Agency {
    now: DateTime<Utc>,
    turn: usize,
    waiting: VecDeque<Vec<Post>>,
    sessions: VecDeque<(Uuid, usize, u32)>,
    zone: TimeZone,
}

impl Agency {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            now: DateTime::UNIX_EPOCH + TimeDelta::days(20_000),
            turn: 0,
            waiting: VecDeque::new(),
            sessions: VecDeque::new(),
            zone: TimeZone::parse("Europe/Berlin").map_err(|invalid| anyhow!("{invalid}"))?,
        })
    }

    /// What happens in some minutes: rounds of appends, of which the later need the earlier.
    fn wave(&mut self) -> anyhow::Result<Vec<Vec<Append>>> {
        self.now += TimeDelta::minutes(10);
        let mut first = Vec::new();
        let mut second = Vec::new();
        let mut posts = Vec::with_capacity(WAVE_POSTS);
        for _ in 0..WAVE_POSTS {
            posts.push(self.write_post(&mut first, &mut second)?);
        }
        self.waiting.push_back(posts);
        if self.waiting.len() > WAVES_AHEAD {
            let due = self.waiting.pop_front().context("just counted")?;
            for mut post in due {
                self.publish(&mut post, &mut first, &mut second)?;
            }
        }
        self.people(&mut first, &mut second)?;
        Ok(vec![first, second])
    }

    fn write_post(&mut self, first: &mut Vec<Append>, second: &mut Vec<Append>) -> anyhow::Result<Post> {
        self.turn += 1;
        let turn = self.turn;
        let author = turn % PEOPLE;
        let organization = organization(author);
        let channels: Vec<_> = (0..1 + turn % 2).map(|nth| channel(author, nth)).collect();
        let content = format!(
            "Number {turn}: we are opening a second workshop in spring, and everyone is invited to come and \
             see it. Doors open at nine, the first tour starts at ten, and there is coffee all day."
        );
        let compose = |content: &str| {
            Composition::parse(&Draft {
                content: content.to_string(),
                targets: channels.iter().map(|channel| (*channel).into()).collect(),
                ..Draft::default()
            })
            .map_err(|invalid| anyhow!("{invalid:?}"))
        };
        let post = Uuid::now_v7();
        let mut events = vec![PostEvent::Drafted {
            organization_id: organization,
            author_id: user(author),
            composition: compose(&content)?,
            occurrence: None,
        }];
        let schedule = Schedule { at: self.now + TimeDelta::hours(2), zone: self.zone.clone() };
        let scheduled = !turn.is_multiple_of(20);
        if scheduled {
            events.push(PostEvent::Scheduled { schedule, channels: channels.clone() });
        }
        first.push(person(author, "SchedulePost", stream("publishing.post", post, &events)?));
        if turn.is_multiple_of(10) {
            let edited = PostEvent::Edited { composition: compose(&format!("{content} Bring friends."))? };
            second.push(person(author, "RevisePost", stream("publishing.post", post, &[edited])?));
        }
        Ok(Post {
            id: post,
            author,
            channels: if scheduled { channels } else { Vec::new() },
            attempts: Vec::new(),
        })
    }

    fn publish(
        &self,
        post: &mut Post,
        first: &mut Vec<Append>,
        second: &mut Vec<Append>,
    ) -> anyhow::Result<()> {
        for channel in post.channels.clone() {
            let attempt_id = AttemptId::new(Uuid::now_v7());
            post.attempts.push(attempt_id);
            let at = self.now;
            let attempted = PostEvent::PublishAttempted {
                channel,
                attempt_id,
                attempt: 1,
                occurrence: 0,
                part: None,
                at,
            };
            first.push(worker(
                post.author,
                "BeginAttempt",
                stream("publishing.post", post.id, &[attempted])?,
            ));
            let outcome = if self.turn.wrapping_add(post.author).is_multiple_of(50) {
                let failure = Failure {
                    class: FailureClass::BadContent,
                    reason: "the platform does not take this".to_string(),
                    what_to_do: "shorten it".to_string(),
                };
                PostEvent::PublishFailed { channel, attempt_id: Some(attempt_id), failure, at }
            } else {
                PostEvent::Published {
                    channel,
                    attempt_id,
                    remote_id: format!("at://did:plc:{}/app.bsky.feed.post/{}", channel, attempt_id),
                    url: Some(format!("https://bsky.example/profile/{channel}/post/{attempt_id}")),
                    part: None,
                    next_at: None,
                    at,
                }
            };
            second.push(worker(
                post.author,
                "RecordOutcome",
                stream("publishing.post", post.id, &[outcome])?,
            ));
        }
        Ok(())
    }

    fn people(&mut self, first: &mut Vec<Append>, second: &mut Vec<Append>) -> anyhow::Result<()> {
        let expires_at = self.now + TimeDelta::days(30);
        let token =
            |session: Uuid| Secret::new(annals_domain::kernel::Owner::of("session", session), "a".repeat(64));
        for _ in 0..40 {
            self.turn += 1;
            let (session, author) = (Uuid::now_v7(), self.turn % PEOPLE);
            let opened = SessionEvent::Opened {
                session_id: session.into(),
                user_id: user(author),
                organization_id: organization(author),
                epoch: 0,
                token: token(session),
                expires_at,
            };
            first.push(person(author, "SignIn", stream("identity.session", session, &[opened])?));
            self.sessions.push_back((session, author, 0));
        }
        // Those that were not used for longest, a few times each.
        for _ in 0..self.sessions.len().min(300) {
            let Some((session, author, generation)) = self.sessions.pop_front() else { break };
            let generation = generation + 1;
            let refreshed = SessionEvent::Refreshed { generation, token: token(session), expires_at };
            second.push(person(author, "RefreshSession", stream("identity.session", session, &[refreshed])?));
            if generation < 8 {
                self.sessions.push_back((session, author, generation));
            }
        }
        for nth in 0..60 {
            let author = (self.turn + nth) % PEOPLE;
            let used = ApiKeyEvent::Used { at: self.now };
            let key = Uuid::from_u128(0x0198_c0de_0003 << 80 | author as u128);
            first.push(person(author, "UseApiKey", stream("identity.api_key", key, &[used])?));
        }
        Ok(())
    }
}

fn user(nth: usize) -> UserId {
    UserId::new(Uuid::from_u128(0x0198_c0de_0001 << 80 | nth as u128))
}

fn organization(author: usize) -> OrganizationId {
    OrganizationId::new(Uuid::from_u128(0x0198_c0de_0002 << 80 | (author % ORGANIZATIONS) as u128))
}

fn channel(author: usize, nth: usize) -> IntegrationId {
    IntegrationId::new(Uuid::from_u128(0x0198_c0de_0004 << 80 | (author % ORGANIZATIONS * 4 + nth) as u128))
}

fn stream<E: DomainEvent>(kind: &'static str, id: Uuid, events: &[E]) -> anyhow::Result<StreamAppend> {
    Ok(StreamAppend {
        stream: StreamId::new(kind, id),
        expected: Expected::Any,
        events: events.iter().map(|event| NewEvent::of(Uuid::now_v7(), event)).collect::<Result<_, _>>()?,
    })
}

/// A command over HTTP.
fn person(author: usize, command: &'static str, stream: StreamAppend) -> Append {
    let subject = format!("user:{}", user(author));
    let client = ClientInfo {
        ip: Some("192.0.2.7".to_string()),
        user_agent: Some(
            "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0".to_string(),
        ),
    };
    let actor = Actor { kind: ActorKind::User, id: Some(user(author).to_string()) };
    append(metadata(author, command, actor, Source::Web).with_client(&subject, &client), stream)
}

/// A command of a process manager.
fn worker(author: usize, command: &'static str, stream: StreamAppend) -> Append {
    let actor = Actor { kind: ActorKind::Process, id: Some("publisher".to_string()) };
    append(metadata(author, command, actor, Source::Worker), stream)
}

fn append(metadata: Metadata, stream: StreamAppend) -> Append {
    Append { streams: vec![stream], ..Append::new(metadata) }
}

fn metadata(author: usize, command: &'static str, actor: Actor, source: Source) -> Metadata {
    let id = Uuid::now_v7();
    Metadata {
        correlation_id: id,
        causation_id: None,
        command: command.into(),
        actor,
        organization_id: Some(organization(author).uuid()),
        source,
        request_id: Some(id.to_string()),
        trace_parent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_string()),
        client: None,
    }
}
