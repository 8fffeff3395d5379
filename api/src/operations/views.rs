//! The wire structs of the operator's tools.

use annals_commands::{nodes::Node, process::Checkpoint, timers::ListedTimer};
use annals_domain::operations::SkippedKey;
use annals_projections::runtime::{GenerationState, GenerationStatus, ParkedEvent, ParkedKey, Replayed};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// How a read model is doing.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionView {
    #[schema(example = "posts")]
    pub name: String,
    pub version: u32,
    /// The generation that readers have; of one that was never built, the one on its way.
    pub generation: u32,
    pub state: ProjectionState,
    /// Everything up to here is applied, parked, or not for this read model.
    pub position: u64,
    /// The log's last position.
    pub head: u64,
    /// How many positions it is behind.
    pub lag_events: u64,
    /// How old the first event is that it has not passed; 0 at the head.
    pub lag_seconds: f64,
    /// Events applied per second, lately.
    pub events_per_second: f64,
    /// The living node that writes it; null if none does at this moment.
    pub leader: Option<LeaderView>,
    /// Keys that wait for a person: see `parked`.
    pub parked_keys: u64,
    /// Since when readers have this generation.
    pub live_since: Option<DateTime<Utc>>,
    /// The generation that is being built beside it, if one is.
    pub rebuild: Option<RebuildView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProjectionState {
    /// It answers.
    Live,
    /// It was never built: who asks is answered 503 until it is.
    Building,
}

impl ProjectionState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Building => "building",
        }
    }
}

/// A build that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RebuildView {
    pub generation: u32,
    pub state: RebuildState,
    pub position: u64,
    /// How much of the log it has passed, 0 to 1.
    #[schema(example = 0.42)]
    pub progress: f64,
    /// Events applied per second, lately.
    pub events_per_second: f64,
    /// Positions of the log passed per second, those of other read models' events included.
    pub positions_per_second: f64,
    /// When it is where the head is now, at this rate; null while it stands still.
    pub remaining_seconds: Option<f64>,
    /// The bound that was set, if one was.
    pub events_per_second_max: Option<u32>,
    pub parked_keys: u64,
    /// Whether it may take over although keys are parked.
    pub are_parked_accepted: bool,
    pub begun_at: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RebuildState {
    Running,
    Paused,
    /// It has parked keys and does not take over before they are replayed, skipped or accepted.
    Blocked,
}

/// A node, as it is named where it leads something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LeaderView {
    pub node: Uuid,
    #[schema(example = "app-1")]
    pub host: String,
    pub pid: u32,
}

impl LeaderView {
    /// The leader, if it lives.
    fn of(leader: Option<Uuid>, nodes: &[Node]) -> Option<Self> {
        let node = nodes.iter().find(|node| Some(node.id) == leader)?;
        Some(Self { node: node.id, host: node.host.clone(), pid: node.pid })
    }
}

/// One view per name and version: the live generation with the build beside it, or a first build alone.
pub(super) fn projections(
    generations: &[GenerationStatus],
    nodes: &[Node],
    now: DateTime<Utc>,
) -> Vec<ProjectionView> {
    let same = |a: &GenerationStatus, b: &GenerationStatus| a.name == b.name && a.version == b.version;
    generations
        .chunk_by(same)
        .filter_map(|of_version| {
            let is_live = |one: &&GenerationStatus| one.state == GenerationState::Live;
            let live = of_version.iter().find(is_live);
            let building = of_version.iter().rfind(|one| !is_live(one));
            let shown = live.or(building)?;
            Some(ProjectionView {
                name: shown.name.clone(),
                version: shown.version,
                generation: shown.generation,
                state: if live.is_some() { ProjectionState::Live } else { ProjectionState::Building },
                position: shown.position,
                head: shown.head,
                lag_events: shown.lag_events(),
                lag_seconds: shown.lag_seconds(now),
                events_per_second: shown.events_per_second,
                leader: LeaderView::of(shown.leader, nodes),
                parked_keys: shown.parked_keys,
                live_since: shown.live_at,
                rebuild: building.map(|build| RebuildView::of(build, live.is_some())),
            })
        })
        .collect()
}

impl RebuildView {
    fn of(build: &GenerationStatus, has_live: bool) -> Self {
        let is_blocked = has_live && build.parked_keys > 0 && !build.are_parked_accepted;
        let state = match build.is_paused {
            true => RebuildState::Paused,
            false if is_blocked && build.has_caught_up => RebuildState::Blocked,
            false => RebuildState::Running,
        };
        Self {
            generation: build.generation,
            state,
            position: build.position,
            progress: build.progress(),
            events_per_second: build.events_per_second,
            positions_per_second: build.positions_per_second,
            remaining_seconds: build.remaining_seconds(),
            events_per_second_max: build.events_per_second_max,
            parked_keys: build.parked_keys,
            are_parked_accepted: build.are_parked_accepted,
            begun_at: build.begun_at,
        }
    }
}

/// A key that a read model could not apply: it and what follows on it wait for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParkedKeyView {
    #[schema(example = "publishing.post/01980000-0000-7000-8000-000000000001")]
    pub key: String,
    pub version: u32,
    /// Which generation parked it: the live one, or one that is being built.
    pub generation: u32,
    /// The event that could not be applied.
    pub position: u64,
    pub event_type: String,
    /// Why, without values of the event.
    pub error: String,
    pub parked_at: DateTime<Utc>,
    /// How many events wait, with the one that failed.
    pub events: u64,
}

impl From<ParkedKey> for ParkedKeyView {
    fn from(key: ParkedKey) -> Self {
        Self {
            key: key.key,
            version: key.version,
            generation: key.generation,
            position: key.position,
            event_type: key.event_type,
            error: key.error,
            parked_at: key.parked_at,
            events: key.events,
        }
    }
}

/// An event that waits on a parked key.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParkedEventView {
    pub version: u32,
    pub generation: u32,
    pub position: u64,
    pub event_type: String,
    /// Of the one that failed; those behind it only wait.
    pub error: Option<String>,
    pub parked_at: DateTime<Utc>,
    /// As it is in the log, with every sealed value erased.
    #[schema(value_type = Object)]
    pub payload: Value,
}

impl From<ParkedEvent> for ParkedEventView {
    fn from(event: ParkedEvent) -> Self {
        Self {
            version: event.version,
            generation: event.generation,
            position: event.position,
            event_type: event.event_type,
            error: event.error,
            parked_at: event.parked_at,
            payload: event.payload,
        }
    }
}

/// A timer that is set. What it carries for its handler is not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimerView {
    pub id: Uuid,
    /// What it is for.
    #[schema(example = "publishing.publish")]
    pub kind: String,
    /// What it is about: mostly an aggregate's id.
    pub key: String,
    /// `waiting` for its time, `due` and waiting for a worker, `leased` by one that calls, or `parked`
    /// and waiting for a person.
    pub state: &'static str,
    pub due_at: DateTime<Utc>,
    /// Calls made so far, the one under way included.
    pub attempt: u32,
    /// Why it is parked, or why the last attempt did not act.
    pub reason: Option<String>,
    /// When the call under way is given up.
    pub leased_until: Option<DateTime<Utc>>,
    /// The event that set it.
    pub caused_by: Uuid,
    pub organization_id: Option<Uuid>,
}

impl From<ListedTimer> for TimerView {
    fn from(timer: ListedTimer) -> Self {
        Self {
            id: timer.id,
            kind: timer.kind,
            key: timer.key,
            state: timer.state.as_str(),
            due_at: timer.due_at,
            attempt: timer.attempt,
            reason: timer.reason,
            leased_until: timer.leased_until,
            caused_by: timer.caused_by,
            organization_id: timer.organization_id,
        }
    }
}

/// A process manager: it reacts to every event of its kinds, in order, and tries a failing one for ever.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessView {
    #[schema(example = "publisher")]
    pub name: String,
    /// Everything up to here was reacted to.
    pub position: u64,
    pub head: u64,
    pub lag_events: u64,
    /// How old the first event is that it has not passed; 0 at the head.
    pub lag_seconds: f64,
    pub leader: Option<LeaderView>,
    /// When its position moved last.
    pub moved_at: DateTime<Utc>,
}

impl ProcessView {
    pub(super) fn of(checkpoint: Checkpoint, nodes: &[Node], now: DateTime<Utc>) -> Self {
        let age_ms = checkpoint.oldest_waiting_at.map_or(0, |at| (now - at).num_milliseconds());
        Self {
            position: checkpoint.position,
            head: checkpoint.head,
            lag_events: checkpoint.head.saturating_sub(checkpoint.position),
            lag_seconds: age_ms.max(0) as f64 / 1000.0,
            leader: LeaderView::of(checkpoint.leader, nodes),
            moved_at: checkpoint.updated_at,
            name: checkpoint.name,
        }
    }
}

/// A node that lives, and what it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    pub id: Uuid,
    #[schema(example = "app-1")]
    pub host: String,
    pub pid: u32,
    /// Of the program.
    pub version: String,
    /// Some of `commands`, `queries`, `workers`.
    pub roles: Vec<String>,
    pub started_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    /// The read models that it writes, such as `posts v1`.
    pub projections: Vec<String>,
    /// The process managers that it runs.
    pub processes: Vec<String>,
}

impl NodeView {
    pub(super) fn of(node: Node, generations: &[GenerationStatus], checkpoints: &[Checkpoint]) -> Self {
        let led = generations.iter().filter(|one| one.leader == Some(node.id));
        let mut projections: Vec<String> = led.map(|one| format!("{} v{}", one.name, one.version)).collect();
        projections.dedup();
        let processes = checkpoints.iter().filter(|one| one.leader == Some(node.id));
        Self {
            processes: processes.map(|one| one.name.clone()).collect(),
            projections,
            id: node.id,
            host: node.host,
            pid: node.pid,
            version: node.version,
            roles: node.roles,
            started_at: node.started_at,
            last_seen_at: node.seen_at,
        }
    }
}

/// What a replay of parked events did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplayedView {
    /// Events applied now.
    pub applied: u64,
    /// Keys that failed again and go on waiting.
    pub failed_keys: u64,
}

impl From<Replayed> for ReplayedView {
    fn from(replayed: Replayed) -> Self {
        Self { applied: replayed.applied, failed_keys: replayed.failed_keys }
    }
}

/// What a skip left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkippedView {
    pub key: String,
    /// Events that the read model will not show.
    pub skipped: u64,
    /// The first and the last of them.
    pub first_position: u64,
    pub last_position: u64,
    /// Events that had been parked on the key since, and are applied now.
    pub applied: u64,
    /// Keys that failed again because of one of those.
    pub failed_keys: u64,
}

impl SkippedView {
    pub(super) fn of(key: &str, all: &[SkippedKey], replayed: Replayed) -> Self {
        Self {
            key: key.to_string(),
            skipped: all.iter().map(|one| one.events).sum(),
            first_position: all.iter().map(|one| one.first_position).min().unwrap_or(0),
            last_position: all.iter().map(|one| one.last_position).max().unwrap_or(0),
            applied: replayed.applied,
            failed_keys: replayed.failed_keys,
        }
    }
}

/// What became of a timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimerDoneView {
    pub id: Uuid,
    /// `due` or `cancelled`.
    pub status: &'static str,
}
