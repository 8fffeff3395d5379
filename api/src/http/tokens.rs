//! Access tokens: JWTs that live an hour, signed here and read here.

use annals_domain::kernel::{OrganizationId, Role, SessionId, UserId};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// How long an access token lives, in seconds.
pub const LIFETIME_S: i64 = 3600;
/// How long a browser may ask for pages before somebody signs in again, in seconds: a working day.
pub const PAGE_LIFETIME_S: i64 = 12 * 3600;

/// How long a ticket may wait until it is used, in seconds.
pub const TICKET_LIFETIME_S: i64 = 30;

/// Signs and verifies with HS256 under one key of the installation: whoever verifies is us.
#[derive(Clone)]
pub struct Tokens {
    signing: EncodingKey,
    /// The signing key first, then former keys, so that a rotation signs nobody out.
    verifying: Vec<DecodingKey>,
}

/// What a token says. `role` informs the frontend; what the caller may do is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The user's id, as `userId`.
    pub sub: UserId,
    pub sid: SessionId,
    pub user_id: UserId,
    pub org_id: OrganizationId,
    pub email: String,
    pub role: Role,
    pub iat: i64,
    pub exp: i64,
}

/// Whom a token is for.
#[derive(Clone, Debug)]
pub struct TokenSubject {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub organization_id: OrganizationId,
    pub email: String,
    pub role: Role,
}

/// What the cookie of a page says. It lacks what [`Claims`] has and the other way round, so neither
/// is ever taken for the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageClaims {
    pub sid: SessionId,
    pub user_id: UserId,
    pub org_id: OrganizationId,
    /// What the session's forms carry.
    pub form_token: String,
    pub exp: i64,
}

/// What a ticket says: it stands once, for half a minute, in the address of what a browser opens without
/// headers. None of the others is taken for it, nor it for one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketClaims {
    /// Its own id: it is used once.
    pub ticket: Uuid,
    pub sid: SessionId,
    pub user_id: UserId,
    pub org_id: OrganizationId,
    pub exp: i64,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("the access token has expired; refresh it")]
    Expired,
    #[error("the access token is not one of ours; sign in again")]
    Forged,
}

impl Tokens {
    /// `key` has at least 32 random bytes; `former` keys still verify.
    pub fn new(key: &[u8], former: &[&[u8]]) -> Self {
        let verifying = std::iter::once(key).chain(former.iter().copied());
        Self {
            signing: EncodingKey::from_secret(key),
            verifying: verifying.map(DecodingKey::from_secret).collect(),
        }
    }

    /// A token of [`LIFETIME_S`] from `now`.
    ///
    /// # Errors
    /// Never in practice: the claims always serialize.
    pub fn issue(
        &self,
        subject: TokenSubject,
        now: DateTime<Utc>,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            sub: subject.user_id,
            sid: subject.session_id,
            user_id: subject.user_id,
            org_id: subject.organization_id,
            email: subject.email,
            role: subject.role,
            iat: now.timestamp(),
            exp: (now + TimeDelta::seconds(LIFETIME_S)).timestamp(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
    }

    /// The claims of a token of ours that has not expired at `now`.
    ///
    /// # Errors
    /// See [`TokenFault`].
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenFault> {
        let claims: Claims = self.decode(token)?;
        if claims.exp <= now.timestamp() { Err(TokenFault::Expired) } else { Ok(claims) }
    }

    /// The value of a page's cookie.
    ///
    /// # Errors
    /// Never in practice: the claims always serialize.
    pub fn issue_page(&self, claims: &PageClaims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.signing)
    }

    /// The claims of a page's cookie of ours that has not expired at `now`.
    ///
    /// # Errors
    /// See [`TokenFault`].
    pub fn verify_page(&self, token: &str, now: DateTime<Utc>) -> Result<PageClaims, TokenFault> {
        let claims: PageClaims = self.decode(token)?;
        if claims.exp <= now.timestamp() { Err(TokenFault::Expired) } else { Ok(claims) }
    }

    /// A ticket's text.
    ///
    /// # Errors
    /// Never in practice: the claims always serialize.
    pub fn issue_ticket(&self, claims: &TicketClaims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.signing)
    }

    /// The claims of a ticket of ours that has not expired at `now`.
    ///
    /// # Errors
    /// See [`TokenFault`].
    pub fn verify_ticket(&self, token: &str, now: DateTime<Utc>) -> Result<TicketClaims, TokenFault> {
        let claims: TicketClaims = self.decode(token)?;
        if claims.exp <= now.timestamp() { Err(TokenFault::Expired) } else { Ok(claims) }
    }

    fn decode<T: DeserializeOwned>(&self, token: &str) -> Result<T, TokenFault> {
        let mut validation = Validation::new(Algorithm::HS256);
        // The clock is a port: the expiry is compared below.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let decoded =
            self.verifying.iter().find_map(|key| jsonwebtoken::decode(token, key, &validation).ok());
        decoded.map(|token| token.claims).ok_or(TokenFault::Forged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> TokenSubject {
        TokenSubject {
            user_id: UserId::new(uuid::Uuid::from_u128(1)),
            session_id: SessionId::new(uuid::Uuid::from_u128(2)),
            organization_id: OrganizationId::new(uuid::Uuid::from_u128(3)),
            email: "ada@example.org".into(),
            role: Role::Owner,
        }
    }

    #[test]
    fn a_token_says_what_the_design_names_and_lives_an_hour() {
        let now = Utc::now();
        let tokens = Tokens::new(&[7; 32], &[]);
        let token = tokens.issue(subject(), now).expect("signs");
        let claims = tokens.verify(&token, now).expect("is ours");
        let json = serde_json::to_value(&claims).expect("serializes");
        let mut names: Vec<_> = json.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["email", "exp", "iat", "orgId", "role", "sid", "sub", "userId"]);
        assert!(tokens.verify(&token, now + TimeDelta::seconds(LIFETIME_S - 1)).is_ok());
        let late = now + TimeDelta::seconds(LIFETIME_S);
        assert_eq!(tokens.verify(&token, late), Err(TokenFault::Expired));
    }

    #[test]
    fn a_ticket_stands_for_half_a_minute_and_is_no_token() {
        let (now, tokens) = (Utc::now(), Tokens::new(&[7; 32], &[]));
        let subject = subject();
        let claims = TicketClaims {
            ticket: Uuid::from_u128(4),
            sid: subject.session_id,
            user_id: subject.user_id,
            org_id: subject.organization_id,
            exp: now.timestamp() + TICKET_LIFETIME_S,
        };
        let ticket = tokens.issue_ticket(&claims).expect("signs");
        let in_time = now + TimeDelta::seconds(TICKET_LIFETIME_S - 1);
        assert_eq!(tokens.verify_ticket(&ticket, in_time).expect("is ours").ticket, claims.ticket);
        let late = now + TimeDelta::seconds(TICKET_LIFETIME_S);
        assert_eq!(tokens.verify_ticket(&ticket, late).err(), Some(TokenFault::Expired));
        assert!(tokens.verify(&ticket, now).is_err(), "it opens nothing else");
        let token = tokens.issue(subject, now).expect("signs");
        assert!(tokens.verify_ticket(&token, now).is_err(), "and a token is no ticket");
    }

    #[test]
    fn another_key_and_the_algorithm_none_are_forgeries() {
        let now = Utc::now();
        let token = Tokens::new(&[8; 32], &[]).issue(subject(), now).expect("signs");
        let ours = Tokens::new(&[7; 32], &[]);
        assert_eq!(ours.verify(&token, now), Err(TokenFault::Forged));
        let payload = token.split('.').nth(1).expect("three parts");
        // {"alg":"none","typ":"JWT"}
        let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
        assert_eq!(ours.verify(&none, now), Err(TokenFault::Forged));
        assert_eq!(ours.verify("garbage", now), Err(TokenFault::Forged));
    }

    #[test]
    fn a_former_key_still_verifies() {
        let now = Utc::now();
        let token = Tokens::new(&[7; 32], &[]).issue(subject(), now).expect("signs");
        let rotated = Tokens::new(&[9; 32], &[&[7; 32]]);
        assert!(rotated.verify(&token, now).is_ok());
    }
}
