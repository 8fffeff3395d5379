//! Registering an app with the server, sending its owner there, and taking the token.

use annals_commands::ports::social::{
    AuthorizationGrant, AuthorizationRequest, ConnectedAccount, FailureClass, OAuth2Platform, ProviderError,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{
    CALL_TIME, Mastodon,
    settings::WARNING_CHARS_MAX,
    token::{App, Credentials, Token, Visibility},
};
use crate::{
    net::Deadline,
    social::{rest::RestCall, words::host},
};

/// What a channel needs: reading who it is, looking for its own posts, posting, uploading.
const SCOPES: &str = "read:accounts read:statuses write:statuses write:media";

/// What the user gives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Given {
    server: String,
    visibility: Option<Visibility>,
    content_warning: Option<String>,
}

/// What is known before the owner is sent there.
#[derive(Serialize, Deserialize)]
struct Prepared {
    #[serde(flatten)]
    app: App,
    visibility: Visibility,
    content_warning: Option<String>,
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: String,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    username: String,
    #[serde(default)]
    display_name: String,
    url: Option<String>,
    avatar: Option<String>,
}

#[async_trait]
impl OAuth2Platform for Mastodon {
    async fn prepare(&self, fields: Value, redirect_uri: &Url) -> Result<Value, ProviderError> {
        let given: Given = serde_json::from_value(fields)
            .map_err(|_| bad("visibility must be public, unlisted, private or direct".to_string()))?;
        let server = server(&given.server)?;
        self.rest.check(&server).map_err(|forbidden| bad(format!("server {forbidden}")))?;
        let content_warning = given.content_warning.filter(|text| !text.trim().is_empty());
        if content_warning.as_ref().is_some_and(|text| text.chars().count() > WARNING_CHARS_MAX) {
            return Err(bad(format!("contentWarning must have at most {WARNING_CHARS_MAX} characters")));
        }
        let mut url = server.clone();
        url.set_path("/api/v1/apps");
        let form = [
            ("client_name", "Annals"),
            ("redirect_uris", redirect_uri.as_str()),
            ("scopes", SCOPES),
            ("website", &redirect_uri.origin().ascii_serialization()),
        ];
        let asked = RestCall::asks(url, Deadline::within(CALL_TIME)).form(&form);
        let Registered { client_id, client_secret } =
            self.rest.call(asked).await.map_err(|error| match error.class {
                FailureClass::BadContent | FailureClass::Disconnected => {
                    bad(format!("server must be one that speaks Mastodon's API: {}", error.message))
                }
                _ => error,
            })?;
        let app = App { server, client_id, client_secret };
        Ok(json!(Prepared { app, visibility: given.visibility.unwrap_or_default(), content_warning }))
    }

    fn authorization_url(
        &self,
        prepared: &Value,
        request: &AuthorizationRequest,
    ) -> Result<Url, ProviderError> {
        let Prepared { app, .. } = read(prepared)?;
        let mut url = app.at("/oauth/authorize");
        // Servers from before 4.3 know no PKCE and pass over what they do not know.
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", app.client_id.as_str()),
            ("redirect_uri", request.redirect_uri.as_str()),
            ("scope", SCOPES),
            ("state", &request.state),
            ("code_challenge", &request.code_challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok(url)
    }

    async fn complete(
        &self,
        prepared: Value,
        grant: AuthorizationGrant,
    ) -> Result<ConnectedAccount, ProviderError> {
        let Prepared { app, visibility, content_warning } = read(&prepared)?;
        let deadline = Deadline::within(CALL_TIME);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", grant.code.as_str()),
            ("redirect_uri", grant.redirect_uri.as_str()),
            ("code_verifier", &grant.code_verifier),
            ("scope", SCOPES),
        ];
        let token = Token::ask(&self.rest, &app, &form, deadline).await?;
        let asked = RestCall::get(app.at("/api/v1/accounts/verify_credentials"), deadline);
        let account: Account = self.rest.call(asked.bearer(&token.access_token)).await?;
        let handle = format!("@{}@{}", account.username, host(&app.server));
        let name = match account.display_name.trim() {
            "" => account.username.clone(),
            name => name.to_string(),
        };
        // Ids are a server's own.
        let remote_id = format!("{}/{}", app.server.origin().ascii_serialization(), account.id);
        let credentials = Credentials::new(app, account.id, token, (visibility, content_warning));
        Ok(ConnectedAccount {
            remote_id,
            name,
            handle: Some(handle),
            url: account.url,
            picture: account.avatar,
            credentials: credentials.to_value(),
        })
    }
}

fn read(prepared: &Value) -> Result<Prepared, ProviderError> {
    Prepared::deserialize(prepared)
        .map_err(|_| bad("the authorization is incomplete, begin again".to_string()))
}

/// The server's address as users write it: with or without the scheme, or as part of a handle.
fn server(given: &str) -> Result<Url, ProviderError> {
    let malformed = || bad("server must be a server's address such as mastodon.social".to_string());
    let text = given.trim().rsplit('@').next().unwrap_or_default();
    let with_scheme = if text.contains("://") { text.to_string() } else { format!("https://{text}") };
    let url: Url = with_scheme.parse().map_err(|_| malformed())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if bare && url.has_host() && given.len() <= 300 { Ok(url) } else { Err(malformed()) }
}

fn bad(message: String) -> ProviderError {
    ProviderError::new(FailureClass::BadContent, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_origin_or_a_handle_on_it() {
        let parsed = |text| server(text).map(|url| url.to_string()).map_err(|error| error.message);
        assert_eq!(parsed("mastodon.social").as_deref(), Ok("https://mastodon.social/"));
        assert_eq!(parsed(" @ada@mastodon.social ").as_deref(), Ok("https://mastodon.social/"));
        assert_eq!(parsed("http://127.0.0.1:3010").as_deref(), Ok("http://127.0.0.1:3010/"));
        for text in ["", "https://a.example/path", "https://a.example?x", "https://", "a b"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
