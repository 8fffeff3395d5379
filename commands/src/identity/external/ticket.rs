//! What a frontend takes a session over with: nothing that lasts stands in an address.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{ExternalRefusal, ExternalSignIn};
use crate::{
    bus::{CommandError, Context},
    identity::{Done, RefreshToken, SignedIn},
};

const PURPOSE: &str = "external-sign-in-ticket";
/// As long as a page takes to load.
const VALID_FOR: TimeDelta = TimeDelta::minutes(1);

/// The session's refresh token, sealed: whoever gives it in gets the next one, and this one is spent.
#[derive(Serialize, Deserialize)]
struct Ticket {
    refresh_token: String,
    expires_at: DateTime<Utc>,
}

impl ExternalSignIn {
    /// For the address of a frontend's page.
    pub fn ticket(&self, signed_in: &SignedIn) -> String {
        let bus = self.identity.bus();
        let expires_at = bus.now().trunc_subsecs(3) + VALID_FOR;
        let ticket = Ticket { refresh_token: signed_in.refresh_token.clone(), expires_at };
        let text = serde_json::to_vec(&ticket).expect("texts serialize");
        BASE64.encode(bus.store().seal_for(PURPOSE, &text))
    }

    /// The session that a ticket was made for. One that comes a second time ends it.
    ///
    /// # Errors
    /// [`ExternalRefusal::NoSuchTicket`]; [`annals_domain::identity::SessionError::Ended`].
    pub async fn redeem(&self, context: &Context, ticket: &str) -> Result<Done<SignedIn>, CommandError> {
        let bus = self.identity.bus();
        let opened = BASE64.decode(ticket).ok().and_then(|sealed| bus.store().open_for(PURPOSE, &sealed));
        let ticket = opened.and_then(|text| serde_json::from_slice::<Ticket>(&text).ok());
        let ticket = ticket
            .filter(|ticket| bus.now() < ticket.expires_at)
            .ok_or_else(|| CommandError::refused(ExternalRefusal::NoSuchTicket))?;
        self.identity.refresh(context, RefreshToken(ticket.refresh_token)).await
    }
}
