//! A sign-in under way: what is known before the person comes back, and in which browser they began.

use annals_domain::{
    identity::ProviderName,
    kernel::{SessionId, UserId},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chrono::{DateTime, Utc};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ExternalRefusal, ExternalSignIn};
use crate::{
    authorization::Authorization,
    bus::CommandError,
    identity::tokens,
    ports::sign_in::{SignInFailure, SignInRequest},
};

const PURPOSE: &str = "external-sign-in";

/// What is sealed into the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingSignIn {
    pub provider: ProviderName,
    pub purpose: Purpose,
    pub return_to: ReturnTo,
    pub(super) redirect_uri: Url,
    browser_digest: String,
}

/// What the person goes there for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Purpose {
    SignIn,
    /// Whoever is signed in here adds a way in.
    Link {
        user_id: UserId,
        session_id: SessionId,
    },
}

/// Where they are to be when it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnTo {
    /// At the callback itself, which answers in JSON.
    Here,
    /// At a page of the console.
    Console(String),
    /// At an address of a frontend, which the configuration allows.
    Frontend(Url),
}

/// What a browser keeps between beginning and coming back, so that nobody can end a sign-in in
/// another's browser, where they would be signed in to the wrong account without a notice.
#[derive(Clone)]
pub struct BrowserToken(String);

impl BrowserToken {
    pub fn fresh() -> Self {
        let mut bytes = [0_u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        Self(BASE64.encode(bytes))
    }

    /// As the browser sent it.
    pub fn presented(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For the browser's cookie.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn digest(&self) -> String {
        tokens::digest(&self.0)
    }
}

/// Where the person is sent, and until when they may come back.
#[derive(Clone, Debug)]
pub struct BegunSignIn {
    pub url: Url,
    pub expires_at: DateTime<Utc>,
}

impl ExternalSignIn {
    /// Prepares a sign-in. Nothing is recorded before the person comes back.
    ///
    /// # Errors
    /// [`ExternalRefusal::NoSuchProvider`], or that the provider does not answer.
    pub async fn begin(
        &self,
        provider: &str,
        purpose: Purpose,
        return_to: ReturnTo,
        redirect_uri: Url,
        browser: &BrowserToken,
    ) -> Result<BegunSignIn, CommandError> {
        let provider = self.provider(provider)?;
        let (bus, info) = (self.identity.bus(), provider.info());
        let pending = PendingSignIn {
            provider: info.name.clone(),
            purpose,
            return_to,
            redirect_uri: redirect_uri.clone(),
            browser_digest: browser.digest(),
        };
        let authorization = Authorization::begin(bus.now(), pending);
        let request = SignInRequest {
            redirect_uri,
            state: authorization.seal(bus.store(), PURPOSE),
            nonce: authorization.nonce(bus.store()),
            code_verifier: authorization.code_verifier(bus.store()),
        };
        let failed = |failure: SignInFailure| CommandError::refused(ExternalRefusal::of(info, &failure));
        let url = provider.authorization_url(&request).await.map_err(failed)?;
        Ok(BegunSignIn { url, expires_at: authorization.expires_at })
    }

    /// The sign-in that a `state` stands for, in the browser that began it.
    ///
    /// # Errors
    /// [`crate::authorization::AuthorizationRefusal`]; [`ExternalRefusal::AnotherBrowser`].
    pub fn pending(
        &self,
        state: &str,
        browser: Option<BrowserToken>,
    ) -> Result<Authorization<PendingSignIn>, CommandError> {
        let bus = self.identity.bus();
        let authorization = Authorization::<PendingSignIn>::open(bus.store(), PURPOSE, state, bus.now())
            .map_err(CommandError::refused)?;
        let began = &authorization.content.browser_digest;
        match browser {
            Some(browser) if tokens::same(&browser.digest(), began) => Ok(authorization),
            _ => Err(CommandError::refused(ExternalRefusal::AnotherBrowser)),
        }
    }
}
