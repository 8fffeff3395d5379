//! Links that are mailed to the account's own address, to verify it or to set a new password.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{User, UserError, UserEvent, VerificationOccasion};
use crate::kernel::Secret;

/// The digest of a token that is on its way to the person; the newest only is kept, so that asking
/// again makes the earlier one worthless.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MailedToken {
    digest: Secret<String>,
    expires_at: DateTime<Utc>,
}

impl MailedToken {
    pub(super) fn new(digest: Secret<String>, expires_at: DateTime<Utc>) -> Self {
        Self { digest, expires_at }
    }

    /// Whether this is the token that was mailed, in time.
    pub(super) fn is(&self, digest: &str, now: DateTime<Utc>) -> bool {
        now < self.expires_at && self.digest.get().is_some_and(|own| own == digest)
    }

    /// Whether it was asked for so recently that another one is not mailed.
    fn is_fresh(&self, valid_for: TimeDelta, now: DateTime<Utc>) -> bool {
        now < self.expires_at - valid_for + User::LINKS_APART
    }
}

impl User {
    /// Whether this is the digest of the token with which a new password may be set now.
    pub fn awaits_reset(&self, token_digest: &str, now: DateTime<Utc>) -> bool {
        self.password_reset.as_ref().is_some_and(|asked| asked.is(token_digest, now))
    }

    pub(super) fn request_verification(
        &self,
        request_id: Uuid,
        occasion: VerificationOccasion,
        token_digest: String,
        now: DateTime<Utc>,
    ) -> Result<UserEvent, UserError> {
        if self.email_verified {
            return Err(UserError::AlreadyVerified);
        }
        let before = self.email_verification.as_ref();
        if before.is_some_and(|before| before.is_fresh(Self::VERIFICATION_VALID_FOR, now)) {
            return Err(UserError::VerificationJustSent);
        }
        Ok(UserEvent::EmailVerificationRequested {
            token: Secret::new(Self::secrets(self.id), token_digest),
            request_id,
            occasion,
            expires_at: now + Self::VERIFICATION_VALID_FOR,
        })
    }

    /// Nothing, rather than a refusal, when it was asked for just now: who asks is not signed in, and
    /// must not learn whether there is such an account.
    pub(super) fn request_password_reset(
        &self,
        request_id: Uuid,
        token_digest: String,
        now: DateTime<Utc>,
    ) -> Option<UserEvent> {
        let before = self.password_reset.as_ref();
        if before.is_some_and(|before| before.is_fresh(Self::PASSWORD_RESET_VALID_FOR, now)) {
            return None;
        }
        Some(UserEvent::PasswordResetRequested {
            token: Secret::new(Self::secrets(self.id), token_digest),
            request_id,
            expires_at: now + Self::PASSWORD_RESET_VALID_FOR,
        })
    }
}
