//! Signing in with an account at another provider, and linking one.
//!
//! Who comes back is found by issuer and subject, which name one account for ever. Where no account is
//! linked, the mail address decides, and only one that both sides have verified: whoever can make an account
//! there with somebody's address must not get into theirs here, nor the other way round.

mod links;
mod pending;
mod refusal;
mod ticket;

use std::sync::Arc;

use annals_domain::{
    Refusal,
    identity::{
        ExternalAccount, PersonName, Profile, Session, SessionError, User, UserCommand, UserSettings,
    },
    kernel::{EmailAddress, ExternalIdentityId, OrganizationId, SessionId, UserId},
};
use annals_eventstore::{ClaimKey, EventStore};
use uuid::Uuid;

pub use pending::{BegunSignIn, BrowserToken, PendingSignIn, Purpose, ReturnTo};
pub use refusal::ExternalRefusal;

use super::{
    Done, Identity, SignedIn,
    done::{remember, remember_sealed},
    sign_in::{holder, home},
    signed_in_as,
};
use crate::{
    authorization::{Authorization, AuthorizationRefusal, as_used},
    bus::{CommandError, Context, Work},
    ports::sign_in::{ProviderInfo, SignInGrant, SignInProvider, SignInProviders, VouchedFor},
};

/// Claims of accounts at other providers.
pub(crate) const EXTERNAL_CLAIMS: &str = "identity.external";

/// How often it is decided anew because somebody else registered or linked at the same moment.
const TRIES_MAX: u32 = 3;

/// An account at an issuer leads to one user. Subjects may be personal, so the key is hashed.
pub(crate) fn external_claim(store: &EventStore, issuer: &str, subject: &str) -> ClaimKey {
    store.claim_key(EXTERNAL_CLAIMS, &format!("{issuer}\n{subject}"))
}

/// The commands that need a provider. One per node, cheap to clone.
#[derive(Clone)]
pub struct ExternalSignIn {
    identity: Identity,
    providers: SignInProviders,
}

/// What a person came back for.
pub enum Completed {
    SignedIn(Done<SignedIn>),
    Linked { user_id: UserId, done: Done<ExternalIdentityId> },
}

/// Who the provider says it is, in this installation's words.
#[derive(Clone)]
struct Arrival {
    info: ProviderInfo,
    who: VouchedFor,
}

impl ExternalSignIn {
    pub fn new(identity: Identity, providers: SignInProviders) -> Self {
        Self { identity, providers }
    }

    pub fn providers(&self) -> &SignInProviders {
        &self.providers
    }

    /// Exchanges the code and lets the person in, or links the account: once, however often somebody comes
    /// back with this state.
    ///
    /// # Errors
    /// [`ExternalRefusal`], [`AuthorizationRefusal::Used`], or the bus's own.
    pub async fn complete(
        &self,
        context: &Context,
        authorization: Authorization<PendingSignIn>,
        code: String,
    ) -> Result<Completed, CommandError> {
        let store = self.identity.bus().store();
        let (code_verifier, nonce) = (authorization.code_verifier(store), authorization.nonce(store));
        let context = authorization.once(context, &code);
        if self.identity.bus().is_answered(&context).await.map_err(as_used)? {
            return Err(used());
        }
        let PendingSignIn { provider, purpose, redirect_uri, .. } = authorization.content;
        let provider = self.provider(provider.as_str())?;
        let info = provider.info().clone();
        let grant = SignInGrant { code, code_verifier, nonce, redirect_uri };
        let who = provider
            .complete(grant)
            .await
            .map_err(|failure| CommandError::refused(ExternalRefusal::of(&info, &failure)))?;
        let arrival = Arrival { info, who };
        let completed = match purpose {
            Purpose::SignIn => self.sign_in(&context, arrival).await.map(Completed::SignedIn),
            Purpose::Link { user_id, session_id } => {
                let linked = self.link(&context, user_id, session_id, arrival).await;
                linked.map(|done| Completed::Linked { user_id, done })
            }
        };
        completed.map_err(as_used)
    }

    fn provider(&self, name: &str) -> Result<&Arc<dyn SignInProvider>, CommandError> {
        self.providers.get(name).ok_or_else(|| CommandError::refused(ExternalRefusal::NoSuchProvider))
    }

    /// Decides for whom this is, then lets them in; anew if that was not so any more.
    async fn sign_in(&self, context: &Context, arrival: Arrival) -> Result<Done<SignedIn>, CommandError> {
        let mut tries = 1;
        loop {
            let known = self.known(&arrival).await?;
            let (user_id, organization_id) = match known {
                Some(user_id) => (user_id, None),
                None => (UserId::new(Uuid::now_v7()), Some(OrganizationId::new(Uuid::now_v7()))),
            };
            let context = signed_in_as(context, user_id, organization_id);
            let (this, arrival) = (self.clone(), arrival.clone());
            let outcome = self
                .identity
                .bus
                .transact(&context, "SignInExternally", move |work| {
                    let (this, arrival) = (this.clone(), arrival.clone());
                    Box::pin(async move { this.signing_in(work, user_id, organization_id, arrival).await })
                })
                .await;
            match outcome {
                Err(CommandError::Refused(refusal))
                    if refusal.code() == ExternalRefusal::Moved.code() && tries < TRIES_MAX =>
                {
                    tries += 1;
                }
                // Another call had its effect: its session is not shown to this one.
                Ok(outcome) if outcome.value.is_none() => return Err(used()),
                outcome => return Done::of(outcome?),
            }
        }
    }

    /// Whose account this leads to, if there is one; only for the metadata, the work asks again.
    async fn known(&self, arrival: &Arrival) -> Result<Option<UserId>, CommandError> {
        let store = self.identity.bus.store();
        let linked = holder(store.claim_holder(&arrival.claim(store)).await?)?;
        match (linked, arrival.verified_email()) {
            (None, Some(email)) => {
                holder(store.claim_holder(&self.identity.email_claim(&email.canonical())).await?)
            }
            (linked, _) => Ok(linked),
        }
    }

    async fn signing_in(
        &self,
        work: &mut Work,
        user_id: UserId,
        organization_id: Option<OrganizationId>,
        arrival: Arrival,
    ) -> Result<SignedIn, CommandError> {
        let claim = arrival.claim(self.identity.bus.store());
        let is_expected = |holder: Option<UserId>| holder == Some(user_id) && organization_id.is_none();
        let signed_in = match holder(work.claim_holder(&claim).await?)? {
            Some(linked) if is_expected(Some(linked)) => self.let_in(work, user_id).await?,
            Some(_) => return Err(refused(ExternalRefusal::Moved)),
            None => {
                let email = arrival.verified_email().cloned();
                let unverified = || refused(ExternalRefusal::unverified_there(&arrival.info));
                let email = email.ok_or_else(unverified)?;
                let email_claim = self.identity.email_claim(&email.canonical());
                match (holder(work.claim_holder(&email_claim).await?)?, organization_id) {
                    (Some(holder), None) if holder == user_id => {
                        self.adopt(work, user_id, arrival, claim).await?
                    }
                    (None, Some(organization_id)) => {
                        work.take_claim(email_claim, user_id);
                        self.enroll(work, user_id, organization_id, email, arrival, claim).await?
                    }
                    _ => return Err(refused(ExternalRefusal::Moved)),
                }
            }
        };
        remember_sealed(work, &signed_in);
        Ok(signed_in)
    }

    async fn let_in(&self, work: &mut Work, user_id: UserId) -> Result<SignedIn, CommandError> {
        let user = work.load::<User>(user_id).await?;
        let organization_id = home(work, &user).await?;
        self.identity.open_session(work, user_id, organization_id, user.session_epoch()).await
    }

    /// An account with this address is here, and nothing of this provider is linked to it yet.
    async fn adopt(
        &self,
        work: &mut Work,
        user_id: UserId,
        arrival: Arrival,
        claim: ClaimKey,
    ) -> Result<SignedIn, CommandError> {
        if !work.load::<User>(user_id).await?.email_verified {
            return Err(refused(ExternalRefusal::unverified_here(&arrival.info)));
        }
        let id = ExternalIdentityId::new(work.new_id());
        work.execute::<User>(user_id, arrival.link(id)).await?;
        work.take_claim(claim, user_id);
        self.let_in(work, user_id).await
    }

    /// Nobody is here with this address: a new user without a password, with an organization of their own.
    async fn enroll(
        &self,
        work: &mut Work,
        user_id: UserId,
        organization_id: OrganizationId,
        email: EmailAddress,
        arrival: Arrival,
        claim: ClaimKey,
    ) -> Result<SignedIn, CommandError> {
        let register = UserCommand::Register {
            user_id,
            profile: Profile::of(arrival.name(&email)),
            email,
            settings: UserSettings::default(),
            password_hash: None,
        };
        work.execute::<User>(user_id, register).await?;
        work.execute::<User>(user_id, UserCommand::AcceptEmail).await?;
        let id = ExternalIdentityId::new(work.new_id());
        work.execute::<User>(user_id, arrival.link(id)).await?;
        work.take_claim(claim, user_id);
        self.identity.settle(work, user_id, organization_id, None).await
    }

    /// Links what the person came back with to the account that they were signed in to when they began, if
    /// they still are.
    async fn link(
        &self,
        context: &Context,
        user_id: UserId,
        session_id: SessionId,
        arrival: Arrival,
    ) -> Result<Done<ExternalIdentityId>, CommandError> {
        let context = signed_in_as(context, user_id, None);
        let store = self.identity.bus.store().clone();
        let outcome = self
            .identity
            .bus
            .transact(&context, "LinkExternalIdentity", move |work| {
                let (arrival, claim) = (arrival.clone(), arrival.claim(&store));
                Box::pin(async move {
                    let session = work.load::<Session>(session_id).await?;
                    let user = work.load::<User>(user_id).await?;
                    let is_alive = session.user_id == user_id && session.is_alive(work.now());
                    if !is_alive || !user.honours_session(session_id, session.epoch) {
                        return Err(refused(SessionError::Ended));
                    }
                    let id = match holder(work.claim_holder(&claim).await?)? {
                        Some(holder) if holder == user_id => arrival.linked_to(&user),
                        Some(_) => return Err(refused(ExternalRefusal::linked_elsewhere(&arrival.info))),
                        None => None,
                    };
                    let id = match id {
                        Some(id) => id,
                        None => {
                            let id = ExternalIdentityId::new(work.new_id());
                            work.execute::<User>(user_id, arrival.link(id)).await?;
                            work.take_claim(claim, user_id);
                            id
                        }
                    };
                    remember(work, &id);
                    Ok(id)
                })
            })
            .await?;
        if outcome.value.is_none() { Err(used()) } else { Done::of(outcome) }
    }
}

impl Arrival {
    fn claim(&self, store: &EventStore) -> ClaimKey {
        external_claim(store, self.info.issuer.as_str(), self.who.subject.as_str())
    }

    fn verified_email(&self) -> Option<&EmailAddress> {
        self.who.email.as_ref().filter(|_| self.who.email_is_verified)
    }

    fn link(&self, external_identity_id: ExternalIdentityId) -> UserCommand {
        UserCommand::LinkExternalIdentity {
            external_identity_id,
            provider: self.info.name.clone(),
            issuer: self.info.issuer.clone(),
            account: ExternalAccount { subject: self.who.subject.clone(), email: self.who.email.clone() },
        }
    }

    fn linked_to(&self, user: &User) -> Option<ExternalIdentityId> {
        let mut linked = user.external_identities.iter();
        linked.find(|(_, linked)| linked.issuer == self.info.issuer).map(|(id, _)| *id)
    }

    /// What the provider calls them, or else their address does.
    fn name(&self, email: &EmailAddress) -> PersonName {
        let of_address = || {
            let local = email.as_str().split('@').next().unwrap_or_default();
            PersonName::parse(local).unwrap_or_default()
        };
        self.who.name.clone().unwrap_or_else(of_address)
    }
}

fn used() -> CommandError {
    refused(AuthorizationRefusal::Used)
}

fn refused(refusal: impl Refusal) -> CommandError {
    CommandError::refused(refusal)
}
