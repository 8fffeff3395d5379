//! Sends the mail that an event calls for: attempted, sent, recorded (invariant 6).

use std::{sync::Arc, time::Duration};

use annals_domain::engagement::{Mailing, MailingCommand, NotSent};
use annals_eventstore::{Actor, ActorKind, Opening, RecordedEvent, Source};
use async_trait::async_trait;
use chrono::TimeDelta;
use url::Url;
use uuid::Uuid;

use super::{
    letters::{LetterError, Letters},
    mail_room::Due,
};
use crate::{
    bus::{CommandBus, CommandError, Context},
    ports::mail::{Mail, MailError, Mailer},
    timers::{Fired, Timer, TimerHandler},
};

/// The kind of its timers.
pub(super) const KIND: &str = "engagement.mail";

/// A worker that dies in a call is followed by another after this long.
const LEASE: Duration = Duration::from_secs(60);

/// Mail servers that say "later" mean minutes.
const SECOND_TRY_AFTER: Duration = Duration::from_secs(15);
const THIRD_TRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// How often the outcome of an attempt is tried to be written before the next worker has to call it unknown.
const RECORD_TRIES: u32 = 5;

const DIED: &str = "the worker stopped before the mail server's answer was recorded";

/// The handler of the timers that [`super::MailRoom`] sets.
pub struct MailTimer {
    bus: CommandBus,
    mailer: Arc<dyn Mailer>,
    letters: Letters,
    lease: Duration,
}

impl MailTimer {
    /// `public_url` is where people reach this installation: links start with it.
    pub fn new(bus: CommandBus, mailer: Arc<dyn Mailer>, public_url: Url) -> Self {
        let letters = Letters::new(bus.clone(), public_url);
        Self { bus, mailer, letters, lease: LEASE }
    }

    /// With another lease, for tests of what follows on a worker's death.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The event that calls for the mail, open, unless it is not there.
    async fn event(&self, due: Due) -> Result<Option<RecordedEvent>, LetterError> {
        let stored = self.bus.store().read_positions(&[due.position]).await?;
        Ok(self.bus.store().open_events(&stored, Opening::Personal).await?.into_iter().next())
    }

    /// Whether whoever the mail is to can still be written to.
    async fn is_still_known(&self, due: Due) -> Result<bool, LetterError> {
        let Some(event) = self.event(due).await? else { return Ok(false) };
        Ok(self.letters.of(&event).await?.is_some())
    }

    async fn try_to_send(&self, timer: &Timer, due: Due) -> Result<Fired, LetterError> {
        let id = timer.caused_by;
        let mailing = self.look(timer, due, id).await?;
        if let Some(attempt_id) = mailing.open_attempt() {
            let command =
                MailingCommand::RecordUnknown { attempt_id, reason: DIED.to_string(), now: self.bus.now() };
            self.record(timer, due, "RecordMailUnknown", command).await?;
            return Ok(Fired::Done);
        }
        if mailing.is_settled() {
            return Ok(Fired::Done);
        }
        let Some(event) = self.event(due).await? else { return Ok(Fired::Done) };
        let Some(mail) = self.letters.of(&event).await? else { return Ok(Fired::Done) };
        let Some(attempt_id) = self.begin(timer, due, &mail).await? else {
            return Ok(Fired::Later { due_at: self.bus.now() + TimeDelta::seconds(2) });
        };
        let answered = self.mailer.send(&mail).await;
        self.told(&mail, &answered);
        let fired = self.settle(timer, due, attempt_id, answered).await?;
        // Forgotten while it was on its way: what a folder keeps of it goes too.
        if !self.is_still_known(due).await? {
            while let Err(error) = self.mailer.forget(&mail.person).await {
                tracing::warn!(%error, "mail of somebody who was forgotten could not be removed, trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Ok(fired)
    }

    /// Where the mail stands, confirmed to be current.
    async fn look(&self, timer: &Timer, due: Due, id: Uuid) -> Result<Arc<Mailing>, CommandError> {
        let outcome = self
            .bus
            .transact(&context(timer, due), "LookAtMail", move |work| {
                Box::pin(async move { work.load::<Mailing>(id).await })
            })
            .await?;
        Ok(outcome.value.unwrap_or_default())
    }

    /// Records the attempt; `None` if somebody else was faster.
    async fn begin(&self, timer: &Timer, due: Due, mail: &Mail) -> Result<Option<Uuid>, CommandError> {
        let (id, attempt_id) = (timer.caused_by, Uuid::now_v7());
        let begin = MailingCommand::Begin {
            topic: mail.letter.topic(),
            addressee: mail.person.as_str().into(),
            attempt_id,
            now: self.bus.now(),
        };
        match self.bus.execute::<Mailing>(&context(timer, due), "SendMail", id, begin).await {
            Ok(_) => Ok(Some(attempt_id)),
            Err(CommandError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn settle(
        &self,
        timer: &Timer,
        due: Due,
        attempt_id: Uuid,
        answered: Result<(), MailError>,
    ) -> Result<Fired, CommandError> {
        let now = self.bus.now();
        let (name, command, fired) = match answered {
            Ok(()) => ("RecordMailSent", MailingCommand::RecordSent { attempt_id, now }, Fired::Done),
            Err(MailError::Unknown { reason }) => {
                ("RecordMailUnknown", MailingCommand::RecordUnknown { attempt_id, reason, now }, Fired::Done)
            }
            Err(MailError::Refused { reason }) => {
                let not_sent = NotSent::ForGood;
                let command = MailingCommand::RecordNotSent { attempt_id, not_sent, reason, now };
                ("RecordMailNotSent", command, Fired::Done)
            }
            Err(MailError::NotSent { reason, not_before }) => {
                let pause = if timer.attempt > 1 { THIRD_TRY_AFTER } else { SECOND_TRY_AFTER };
                let not_before = Some(not_before.unwrap_or(pause));
                let fired = Fired::NotActed { reason: reason.clone(), not_before };
                let not_sent = NotSent::ForNow;
                let command = MailingCommand::RecordNotSent { attempt_id, not_sent, reason, now };
                ("RecordMailNotSent", command, fired)
            }
        };
        self.record(timer, due, name, command).await?;
        Ok(fired)
    }

    /// An outcome, at whatever version the mail is by now.
    async fn record(
        &self,
        timer: &Timer,
        due: Due,
        name: &'static str,
        command: MailingCommand,
    ) -> Result<(), CommandError> {
        let id = timer.caused_by;
        let mut tries = 0;
        loop {
            tries += 1;
            let command = command.clone();
            let recorded = self
                .bus
                .transact(&context(timer, due), name, move |work| {
                    let command = command.clone();
                    Box::pin(async move { work.execute_at_any_version::<Mailing>(id, command).await })
                })
                .await;
            match recorded {
                // Refused: a later worker has given its word already.
                Ok(_) | Err(CommandError::Refused(_)) => return Ok(()),
                Err(error) if tries == RECORD_TRIES => return Err(error),
                Err(error) => {
                    tracing::warn!(mail.id = %id, %error, "the outcome of a mail could not be written, trying again");
                    tokio::time::sleep(Duration::from_millis(200) * tries).await;
                }
            }
        }
    }

    fn told(&self, mail: &Mail, answered: &Result<(), MailError>) {
        let (kind, id) = (mail.letter.topic().as_str(), mail.message_id);
        let outcome = match answered {
            Ok(()) => "sent",
            Err(MailError::NotSent { .. }) => "not_sent",
            Err(MailError::Refused { .. }) => "refused",
            Err(MailError::Unknown { .. }) => "unknown",
        };
        metrics::counter!("annals_mail_total", "kind" => kind, "outcome" => outcome).increment(1);
        match answered {
            Ok(()) => tracing::info!(mail.id = %id, kind, outcome, "a mail was sent"),
            Err(error) => tracing::warn!(mail.id = %id, kind, outcome, %error, "a mail was not sent"),
        }
    }
}

#[async_trait]
impl TimerHandler for MailTimer {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn lease(&self) -> Duration {
        self.lease
    }

    async fn fire(&self, timer: &Timer) -> Fired {
        let due: Due = match serde_json::from_value(timer.payload.clone()) {
            Ok(due) => due,
            Err(error) => return Fired::Park { reason: format!("its payload can't be read: {error}") },
        };
        match self.try_to_send(timer, due).await {
            Ok(fired) => fired,
            Err(error @ (LetterError::Decode(_) | LetterError::Stream(_))) => {
                Fired::Park { reason: error.to_string() }
            }
            Err(error) => {
                tracing::warn!(mail.id = %timer.caused_by, %error,
                    "a mail is put off: the log could not be read or written");
                Fired::Later { due_at: self.bus.now() + TimeDelta::seconds(2) }
            }
        }
    }
}

fn context(timer: &Timer, due: Due) -> Context {
    let actor = Actor { kind: ActorKind::Process, id: Some(KIND.to_string()) };
    Context {
        correlation_id: due.correlation,
        causation_id: Some(timer.caused_by),
        ..Context::new(actor, timer.organization_id, Source::Worker)
    }
}
