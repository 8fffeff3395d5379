//! Refreshing, switching and ending sessions.

use annals_domain::{
    Refusal,
    identity::{
        Organization, Session, SessionCommand, SessionError, User, UserCommand, session::RevokedBecause,
    },
    kernel::{OrganizationId, SessionId, UserId},
};
use serde::{Deserialize, Serialize};

use super::{
    Done, Identity, IdentityRefusal, SignedIn,
    done::{remember, remember_sealed},
    sign_in::home,
    signed_in_as, tokens,
};
use crate::bus::{CommandError, Context, Work};

/// A refresh token as it was presented. It does not print itself.
#[derive(Clone)]
pub struct RefreshToken(pub String);

/// What became of a refresh.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Refreshed {
    Rotated(SignedIn),
    /// The token was spent: its session is over.
    Reused,
}

impl Identity {
    /// Exchanges a refresh token for a new one. A spent one ends its session instead.
    ///
    /// # Errors
    /// [`SessionError::Ended`] whatever is wrong with the token or its session.
    pub async fn refresh(
        &self,
        context: &Context,
        token: RefreshToken,
    ) -> Result<Done<SignedIn>, CommandError> {
        let store = self.bus.store();
        let session_id = tokens::session_of(store, &token.0).ok_or_else(ended)?;
        let session = self.bus.load::<Session>(session_id).await?.state;
        let context = signed_in_as(context, session.user_id, Some(session.organization_id));
        let this = self.clone();
        let outcome = self
            .bus
            .transact(&context, "RefreshSession", move |work| {
                let (this, digest) = (this.clone(), tokens::digest(&token.0));
                Box::pin(async move { this.refreshing(work, session_id, digest).await })
            })
            .await?;
        let Done { value, position, version } = Done::of(outcome)?;
        match value {
            Refreshed::Rotated(value) => Ok(Done { value, position, version }),
            Refreshed::Reused => {
                metrics::counter!("annals_refresh_tokens_reused_total").increment(1);
                tracing::warn!(session.id = %session_id, "a spent refresh token came back, its session was ended");
                Err(ended())
            }
        }
    }

    async fn refreshing(
        &self,
        work: &mut Work,
        session_id: SessionId,
        presented_digest: String,
    ) -> Result<Refreshed, CommandError> {
        let session = work.load::<Session>(session_id).await?;
        let user = work.load::<User>(session.user_id).await?;
        if !session.is_alive(work.now()) || !user.honours_session(session_id, session.epoch) {
            return Err(ended());
        }
        let organization_id = match session.expects(&presented_digest) {
            true => self.organization_of(work, &session, &user).await?,
            false => session.organization_id,
        };
        let refresh_token = tokens::new_refresh_token(self.bus.store(), session_id);
        let refresh = SessionCommand::Refresh {
            presented_digest,
            new_digest: tokens::digest(&refresh_token),
            organization_id,
            now: work.now(),
        };
        work.execute::<Session>(session_id, refresh).await?;
        let refreshed = if work.load::<Session>(session_id).await?.is_alive(work.now()) {
            Refreshed::Rotated(SignedIn { user_id: user.id, session_id, organization_id, refresh_token })
        } else {
            Refreshed::Reused
        };
        remember_sealed(work, &refreshed);
        Ok(refreshed)
    }

    /// The session's organization, or another if the user is no member there any more.
    async fn organization_of(
        &self,
        work: &mut Work,
        session: &Session,
        user: &User,
    ) -> Result<OrganizationId, CommandError> {
        let current = session.organization_id;
        match work.load::<Organization>(current).await?.role_of(user.id) {
            Some(_) => Ok(current),
            None => home(work, user).await,
        }
    }

    /// New tokens for another organization of the user; the old refresh token is spent.
    ///
    /// # Errors
    /// [`IdentityRefusal::NotAMember`], or [`SessionError::Ended`].
    pub async fn switch_organization(
        &self,
        context: &Context,
        session_id: SessionId,
        organization_id: OrganizationId,
    ) -> Result<Done<SignedIn>, CommandError> {
        let this = self.clone();
        let outcome = self
            .bus
            .transact(context, "SwitchOrganization", move |work| {
                let this = this.clone();
                Box::pin(async move {
                    let user_id = work.load::<Session>(session_id).await?.user_id;
                    let organization = work.load::<Organization>(organization_id).await?;
                    organization.role_of(user_id).ok_or_else(not_a_member)?;
                    let refresh_token = tokens::new_refresh_token(this.bus.store(), session_id);
                    let switch = SessionCommand::SwitchOrganization {
                        organization_id,
                        new_digest: tokens::digest(&refresh_token),
                        now: work.now(),
                    };
                    work.execute::<Session>(session_id, switch).await?;
                    let signed_in = SignedIn { user_id, session_id, organization_id, refresh_token };
                    remember_sealed(work, &signed_in);
                    Ok(signed_in)
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Ends the session that the caller uses.
    ///
    /// # Errors
    /// If the log can't be reached.
    pub async fn log_out(&self, context: &Context, session_id: SessionId) -> Result<Done<()>, CommandError> {
        let reason = RevokedBecause::LoggedOut;
        let outcome = self
            .bus
            .transact(context, "LogOut", move |work| {
                Box::pin(work.execute::<Session>(session_id, SessionCommand::Revoke { reason }))
            })
            .await?;
        Done::of(outcome)
    }

    /// Ends one of the user's sessions.
    ///
    /// # Errors
    /// [`IdentityRefusal::NoSuchSession`], also for somebody else's.
    pub async fn revoke_session(
        &self,
        context: &Context,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<Done<()>, CommandError> {
        let outcome = self
            .bus
            .transact(context, "RevokeSession", move |work| {
                Box::pin(async move {
                    let session = work.load::<Session>(session_id).await?;
                    if session.user_id != user_id || session.expires_at().is_none() {
                        return Err(CommandError::refused(IdentityRefusal::NoSuchSession));
                    }
                    let revoke = SessionCommand::Revoke { reason: RevokedBecause::Revoked };
                    work.execute::<Session>(session_id, revoke).await?;
                    remember(work, &());
                    Ok(())
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Ends all of the user's sessions but the one in use.
    ///
    /// # Errors
    /// If the log can't be reached.
    pub async fn revoke_other_sessions(
        &self,
        context: &Context,
        user_id: UserId,
        keep_session: Option<SessionId>,
    ) -> Result<Done<()>, CommandError> {
        let outcome = self
            .bus
            .transact(context, "RevokeOtherSessions", move |work| {
                Box::pin(work.execute::<User>(user_id, UserCommand::RevokeSessions { keep_session }))
            })
            .await?;
        Done::of(outcome)
    }
}

fn ended() -> CommandError {
    refused(SessionError::Ended)
}

fn not_a_member() -> CommandError {
    refused(IdentityRefusal::NotAMember)
}

fn refused(refusal: impl Refusal) -> CommandError {
    CommandError::refused(refusal)
}
