//! After a backup was restored: what process managers remember begins again, and nothing is done twice.

use std::collections::HashSet;

use annals_domain::{identity::User, kernel::UserId};
use annals_eventstore::{Actor, ActorKind, Append, EventStore, Metadata, Source};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    bus::{CommandError, Context},
    identity::Identity,
};

/// Makes the write side's tables those of a log that ends at `position` and was restored just now.
///
/// Timers and checkpoints go: process managers read the log again from where they start when they
/// are new. Those that only set timers start at the beginning. Those that act outside (mail) start at the
/// head: what was under way when the backup was made is not sent again. And what a timer does outside
/// for an event up to `position` is in doubt from now on (see [`restored_up_to`]).
///
/// # Errors
/// If the database does not answer. Commits nothing.
pub async fn begin_again(connection: &mut PgConnection, position: u64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM process.timers").execute(&mut *connection).await?;
    sqlx::query("DELETE FROM process.watched").execute(&mut *connection).await?;
    sqlx::query("DELETE FROM process.figures").execute(&mut *connection).await?;
    sqlx::query("DELETE FROM process.checkpoints").execute(&mut *connection).await?;
    sqlx::query("INSERT INTO process.restored (position) VALUES ($1)")
        .bind(position.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// Up to which position events may have been acted on without the log knowing; 0 if it never was restored.
///
/// # Errors
/// If the database does not answer.
pub async fn restored_up_to(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let position: Option<i64> =
        sqlx::query_scalar("SELECT max(position) FROM process.restored").fetch_one(pool).await?;
    Ok(position.unwrap_or(0).cast_unsigned())
}

/// What was forgotten again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForgottenAgain {
    /// Accounts that were deleted.
    pub people: usize,
    /// Owners whose keys were destroyed, those of these people among them.
    pub keys: usize,
    /// People whose keys are destroyed while their account could not be deleted, and why.
    pub left: Vec<(String, String)>,
}

/// Owners whose keys go with one append.
const OWNERS_AT_ONCE: usize = 100;

/// Forgets owners (`user:…`, `integration:…`) whom the log knows still, because it is that of before.
///
/// People are deleted as they would delete themselves, so that their address is free, their sessions
/// end and read models drop them. Of the others, and where the log as it was does not let an account go (an
/// owner among members), the keys are destroyed.
///
/// # Errors
/// If the log can't be read or takes nothing.
pub async fn forget_again(identity: &Identity, owners: Vec<String>) -> Result<ForgottenAgain, CommandError> {
    let store = identity.bus().store();
    let mut again = ForgottenAgain::default();
    let still = known(store, owners).await?;
    again.keys = still.len();
    for owner in &still {
        let Some(user_id) = owner.strip_prefix("user:").and_then(|id| id.parse::<UserId>().ok()) else {
            continue;
        };
        if !identity.bus().load::<User>(user_id).await?.state.is_active() {
            continue;
        }
        match identity.delete_account(&context(), user_id).await {
            Ok(_) => again.people += 1,
            Err(CommandError::Refused(why)) => again.left.push((owner.clone(), why.to_string())),
            Err(error) => return Err(error),
        }
    }
    let still = known(store, still).await?;
    for owners in still.chunks(OWNERS_AT_ONCE) {
        let mut append = Append::new(Metadata {
            correlation_id: Uuid::now_v7(),
            causation_id: None,
            command: "ForgetAgain".into(),
            actor: Actor { kind: ActorKind::Operator, id: None },
            organization_id: None,
            source: Source::Worker,
            request_id: None,
            trace_parent: None,
            client: None,
        });
        append.forget = owners.to_vec();
        store.append(append).await.map_err(CommandError::Append)?;
    }
    Ok(again)
}

/// Those whose keys the log has not destroyed.
async fn known(store: &EventStore, owners: Vec<String>) -> Result<Vec<String>, CommandError> {
    let gone: HashSet<String> = store.forgotten_owners().await?.into_iter().map(|(owner, _)| owner).collect();
    Ok(owners.into_iter().filter(|owner| !gone.contains(owner)).collect())
}

fn context() -> Context {
    Context::new(Actor { kind: ActorKind::Operator, id: None }, None, Source::Worker)
}
