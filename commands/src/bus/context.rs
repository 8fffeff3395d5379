//! Who commands, and why.

use annals_eventstore::{Actor, ActorKind, ClientInfo, Metadata, RecordedEvent, Source};
use uuid::Uuid;

/// Who commands, for which organization, why, and under which key.
#[derive(Clone, Debug)]
pub struct Context {
    pub actor: Actor,
    pub organization_id: Option<Uuid>,
    pub source: Source,
    pub correlation_id: Uuid,
    /// The event that caused this, for process managers.
    pub causation_id: Option<Uuid>,
    pub request_id: Option<String>,
    pub trace_parent: Option<String>,
    pub client: Option<ClientInfo>,
    /// Whose personal data `client` is (`user:…`); the command may set it with
    /// [`super::Work::client_subject`]. By default the actor, if it is a user; if nobody is
    /// known, `client` is not recorded.
    pub client_subject: Option<String>,
    pub idempotency: Option<IdempotencyKey>,
    /// `If-Match`: the version that the first aggregate given a command must have.
    pub expected_version: Option<u64>,
}

/// What the caller gave to have the effect once.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// Actor and organization, or the route for anonymous calls.
    pub scope: String,
    pub key: String,
    /// Method, path and body of the request; only an HMAC of it is kept.
    pub request: Vec<u8>,
}

impl Context {
    /// A context of a cause of its own, with no key and no client.
    pub fn new(actor: Actor, organization_id: Option<Uuid>, source: Source) -> Self {
        Self {
            actor,
            organization_id,
            source,
            correlation_id: Uuid::now_v7(),
            causation_id: None,
            request_id: None,
            trace_parent: None,
            client: None,
            client_subject: None,
            idempotency: None,
            expected_version: None,
        }
    }

    /// A context for a process manager's command, caused by an event, with a key derived from it.
    pub fn process(name: &str, caused_by: &RecordedEvent, step: &str) -> Self {
        let actor = Actor { kind: ActorKind::Process, id: Some(name.to_string()) };
        Self {
            correlation_id: caused_by.metadata.correlation_id,
            causation_id: Some(caused_by.event_id),
            trace_parent: caused_by.metadata.trace_parent.clone(),
            idempotency: Some(IdempotencyKey {
                scope: format!("process:{name}"),
                key: format!("{}:{}:{step}", caused_by.event_id, caused_by.part),
                request: Vec::new(),
            }),
            ..Self::new(actor, caused_by.metadata.organization_id, Source::Worker)
        }
    }

    /// What the events will say about how they came to be. `subject` is what the command found
    /// out about whose client this is.
    pub(super) fn metadata(&self, command: &'static str, subject: Option<&str>) -> Metadata {
        let metadata = Metadata {
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            command: command.into(),
            actor: self.actor.clone(),
            organization_id: self.organization_id,
            source: self.source,
            request_id: self.request_id.clone(),
            trace_parent: self.trace_parent.clone(),
            client: None,
        };
        let subject = subject.map(str::to_string).or_else(|| self.client_subject.clone()).or_else(|| {
            let id = self.actor.id.as_ref().filter(|_| self.actor.kind == ActorKind::User)?;
            Some(format!("user:{id}"))
        });
        match (&self.client, subject) {
            (Some(client), Some(subject)) => metadata.with_client(&subject, client),
            _ => metadata,
        }
    }
}
