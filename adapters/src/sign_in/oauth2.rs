//! OAuth 2 (RFC 6749) with PKCE where there is no ID token, as GitHub has it: who it is, two endpoints tell.

use annals_commands::authorization::code_challenge;
use annals_commands::ports::{
    sign_in::{ProviderInfo, SignInFailure, SignInGrant, SignInProvider, SignInRequest, VouchedFor},
    social::{FailureClass, ProviderError},
};
use annals_domain::identity::ExternalSubject;
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{ClientAuthentication, Registration, STEP_TIME, address, person};
use crate::{
    net::{Deadline, HttpClient},
    social::rest::{Rest, RestCall},
};

/// Where the provider is asked what.
#[derive(Clone, Debug)]
pub struct OAuth2Addresses {
    pub authorization: Url,
    pub token: Url,
    /// Who somebody is: `id` or `sub`, `name`, `email`.
    pub user: Url,
    /// A list of `{email, primary, verified}`; without one, `email` and `email_verified` of the user count.
    pub emails: Option<Url>,
}

/// A provider without an ID token.
pub struct OAuth2Provider {
    info: ProviderInfo,
    registration: Registration,
    addresses: OAuth2Addresses,
    rest: Rest,
}

/// Some refuse with status 200.
#[derive(Deserialize)]
struct Exchanged {
    access_token: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Email {
    email: String,
    #[serde(default)]
    primary: bool,
    #[serde(default)]
    verified: bool,
}

impl OAuth2Provider {
    pub fn new(
        info: ProviderInfo,
        registration: Registration,
        addresses: OAuth2Addresses,
        http: HttpClient,
    ) -> Self {
        let words = |body: &Value| {
            let words = body.get("error_description").or(body.get("message")).or(body.get("error"))?;
            words.as_str().map(str::to_string)
        };
        Self { info, registration, addresses, rest: Rest::new(http, "a sign-in provider", words) }
    }

    async fn exchange(&self, grant: SignInGrant, deadline: Deadline) -> Result<String, SignInFailure> {
        let Registration { client_id, client_secret, authentication, .. } = &self.registration;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", grant.code.as_str()),
            ("redirect_uri", grant.redirect_uri.as_str()),
            ("code_verifier", grant.code_verifier.as_str()),
        ];
        let mut call = RestCall::asks(self.addresses.token.clone(), deadline);
        match (authentication, client_secret) {
            (ClientAuthentication::Basic, Some(secret)) => {
                let encoded =
                    |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(client_id), encoded(secret));
                call = call.secret(AUTHORIZATION, &format!("Basic {}", BASE64.encode(pair)));
            }
            (_, secret) => {
                form.push(("client_id", client_id));
                form.extend(secret.as_deref().map(|secret| ("client_secret", secret)));
            }
        }
        let exchanged: Exchanged = self.rest.call(call.form(&form)).await.map_err(not_exchanged)?;
        match exchanged {
            Exchanged { access_token: Some(token), error: None } => Ok(token),
            Exchanged { error: Some(error), .. } if error.contains("client") => Err(not_registered()),
            _ => Err(SignInFailure::Refused(
                "the code was used already or is too old, sign in again".to_string(),
            )),
        }
    }

    /// The address that the provider calls the account's, if it knows that it is theirs.
    async fn email(
        &self,
        user: &Value,
        token: &str,
        deadline: Deadline,
    ) -> Result<(Option<String>, bool), SignInFailure> {
        let text = |name: &str| user.get(name).and_then(Value::as_str).map(str::to_string);
        let Some(emails) = &self.addresses.emails else {
            let is_verified = user.get("email_verified").or(user.get("verified_email"));
            return Ok((text("email"), is_verified == Some(&Value::Bool(true))));
        };
        let call = RestCall::get(emails.clone(), deadline).bearer(token);
        let emails: Vec<Email> = self.rest.call(call).await.map_err(not_told)?;
        let primary = emails.into_iter().find(|email| email.primary);
        Ok(primary.map_or((None, false), |primary| (Some(primary.email), primary.verified)))
    }
}

#[async_trait]
impl SignInProvider for OAuth2Provider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn authorization_url(&self, request: &SignInRequest) -> Result<Url, SignInFailure> {
        let mut url = self.addresses.authorization.clone();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", self.registration.client_id.as_str()),
            ("redirect_uri", request.redirect_uri.as_str()),
            ("scope", &self.registration.scopes.join(" ")),
            ("state", &request.state),
            ("code_challenge", &code_challenge(&request.code_verifier)),
            ("code_challenge_method", "S256"),
        ]);
        Ok(url)
    }

    async fn complete(&self, grant: SignInGrant) -> Result<VouchedFor, SignInFailure> {
        let deadline = Deadline::within(STEP_TIME);
        let token = self.exchange(grant, deadline).await?;
        let call = RestCall::get(self.addresses.user.clone(), deadline).bearer(&token);
        let user: Value = self.rest.call(call).await.map_err(not_told)?;
        let subject = subject(&user)?;
        let (email, email_is_verified) = self.email(&user, &token, deadline).await?;
        let name = |field: &str| user.get(field).and_then(Value::as_str).and_then(person);
        Ok(VouchedFor {
            subject,
            email: email.as_deref().and_then(address),
            email_is_verified,
            name: name("name").or_else(|| name("login")),
        })
    }
}

/// What never changes of an account: a login may be given to somebody else.
fn subject(user: &Value) -> Result<ExternalSubject, SignInFailure> {
    let subject = match user.get("sub").or(user.get("id")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(SignInFailure::Untrusted("it does not say which account it is".to_string())),
    };
    ExternalSubject::parse(&subject)
        .map_err(|fault| SignInFailure::Untrusted(format!("the account's id {fault}")))
}

fn not_exchanged(error: ProviderError) -> SignInFailure {
    match error.class {
        FailureClass::Retry | FailureClass::OutcomeUnknown => {
            SignInFailure::unavailable(error.message.clone()).caused_by(error)
        }
        FailureClass::BadContent => {
            SignInFailure::Refused("the code was used already or is too old, sign in again".to_string())
        }
        FailureClass::RefreshToken | FailureClass::Disconnected | FailureClass::Unsupported => {
            not_registered().caused_by(error)
        }
    }
}

fn not_registered() -> SignInFailure {
    SignInFailure::unavailable(
        "it does not take this installation's credentials: its operator has to correct them",
    )
}

fn not_told(error: ProviderError) -> SignInFailure {
    SignInFailure::unavailable("it does not tell who signed in").caused_by(error)
}
