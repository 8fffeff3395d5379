//! Registration and sign-in.

use std::sync::Arc;

use annals_domain::{
    identity::{
        Organization, OrganizationCommand, OrganizationName, OrganizationSettings, Password, PersonName,
        Profile, Session, SessionCommand, User, UserCommand, UserSettings, VerificationOccasion,
    },
    kernel::{EmailAddress, OrganizationId, SessionId, UserId},
};
use annals_eventstore::{ClaimKey, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{
    Done, FirstAccount, Identity, IdentityRefusal, done::remember_sealed, operator::first_operator,
    signed_in_as, tokens,
};
use crate::bus::{CommandError, Context, Work};

/// What an organization is called that nobody named. Not after the person: the log keeps it for ever.
const UNNAMED_ORGANIZATION: &str = "My organization";

#[derive(Clone, Debug)]
pub struct Register {
    pub email: EmailAddress,
    pub password: Password,
    pub name: PersonName,
    pub organization: Option<OrganizationName>,
}

#[derive(Clone)]
pub struct LogIn {
    pub email: EmailAddress,
    pub password: String,
}

/// A session with its refresh token, which is shown this once.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignedIn {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub organization_id: OrganizationId,
    pub refresh_token: String,
}

impl Identity {
    /// A new user with an organization of their own, signed in: one append.
    ///
    /// # Errors
    /// [`IdentityRefusal::EmailTaken`], or a log that can't be reached.
    pub async fn register(
        &self,
        context: &Context,
        command: Register,
    ) -> Result<Done<SignedIn>, CommandError> {
        let user_id = UserId::new(Uuid::now_v7());
        let organization_id = OrganizationId::new(Uuid::now_v7());
        let context = signed_in_as(context, user_id, Some(organization_id));
        let this = self.clone();
        let hash = Arc::new(OnceCell::new());
        let outcome = self
            .bus
            .transact(&context, "Register", move |work| {
                let (this, command, hash) = (this.clone(), command.clone(), Arc::clone(&hash));
                Box::pin(
                    async move { this.registering(work, user_id, organization_id, command, &hash).await },
                )
            })
            .await?;
        Done::of(outcome)
    }

    async fn registering(
        &self,
        work: &mut Work,
        user_id: UserId,
        organization_id: OrganizationId,
        command: Register,
        hash: &OnceCell<String>,
    ) -> Result<SignedIn, CommandError> {
        let claim = self.email_claim(&command.email.canonical());
        if work.claim_holder(&claim).await?.is_some() {
            return Err(CommandError::refused(IdentityRefusal::EmailTaken));
        }
        work.take_claim(claim, user_id);
        let password = command.password.expose().to_string();
        // Once, however often a conflict makes it decide again.
        let password_hash = hash.get_or_init(|| self.hasher.hash(password)).await.clone();
        let register = UserCommand::Register {
            user_id,
            email: command.email,
            profile: Profile::of(command.name),
            settings: UserSettings::default(),
            password_hash: Some(password_hash),
        };
        work.execute::<User>(user_id, register).await?;
        self.ask_to_verify(work, user_id, VerificationOccasion::Registration).await?;
        let signed_in = self.settle(work, user_id, organization_id, command.organization).await?;
        remember_sealed(work, &signed_in);
        Ok(signed_in)
    }

    /// What a new user has besides themselves: an organization, a session and, who comes first, an office.
    pub(super) async fn settle(
        &self,
        work: &mut Work,
        user_id: UserId,
        organization_id: OrganizationId,
        organization: Option<OrganizationName>,
    ) -> Result<SignedIn, CommandError> {
        let settings = organization_settings(organization);
        found_organization(work, user_id, organization_id, settings).await?;
        if self.options.first_account == FirstAccount::Operator {
            self.claim_first_account(work, user_id).await?;
        }
        self.open_session(work, user_id, organization_id, 0).await
    }

    async fn claim_first_account(&self, work: &mut Work, user_id: UserId) -> Result<(), CommandError> {
        if work.claim_holder(&first_operator()).await?.is_some() {
            return Ok(());
        }
        work.take_claim(first_operator(), user_id);
        work.execute::<User>(user_id, UserCommand::GrantOperator).await
    }

    /// A session for whoever knows the password.
    ///
    /// # Errors
    /// [`IdentityRefusal::WrongCredentials`], whether or not there is such an account, or a log
    /// that can't be reached.
    pub async fn log_in(&self, context: &Context, command: LogIn) -> Result<Done<SignedIn>, CommandError> {
        let claim = self.email_claim(&command.email.canonical());
        // Only for the metadata; the work asks again and relies on that.
        let context = match holder(self.bus.store().claim_holder(&claim).await?)? {
            Some(user_id) => signed_in_as(context, user_id, None),
            None => context.clone(),
        };
        let this = self.clone();
        let outcome = self
            .bus
            .transact(&context, "LogIn", move |work| {
                let (this, claim, password) = (this.clone(), claim.clone(), command.password.clone());
                Box::pin(async move { this.logging_in(work, &claim, password).await })
            })
            .await?;
        Done::of(outcome)
    }

    async fn logging_in(
        &self,
        work: &mut Work,
        claim: &ClaimKey,
        password: String,
    ) -> Result<SignedIn, CommandError> {
        let user = match holder(work.claim_holder(claim).await?)? {
            Some(user_id) => Some(work.load::<User>(user_id).await?),
            None => None,
        };
        let phc = user.as_ref().and_then(|user| user.password_hash()).map(str::to_string);
        let right = self.hasher.verify(password, phc).await;
        let Some(user) = user.filter(|user| right && user.is_active()) else {
            return Err(CommandError::refused(IdentityRefusal::WrongCredentials));
        };
        let organization_id = home(work, &user).await?;
        let signed_in = self.open_session(work, user.id, organization_id, user.session_epoch()).await?;
        remember_sealed(work, &signed_in);
        Ok(signed_in)
    }

    pub(super) async fn open_session(
        &self,
        work: &mut Work,
        user_id: UserId,
        organization_id: OrganizationId,
        epoch: u32,
    ) -> Result<SignedIn, CommandError> {
        let session_id = SessionId::new(work.new_id());
        let refresh_token = tokens::new_refresh_token(self.bus.store(), session_id);
        let open = SessionCommand::Open {
            session_id,
            user_id,
            organization_id,
            epoch,
            token_digest: tokens::digest(&refresh_token),
            now: work.now(),
        };
        work.execute::<Session>(session_id, open).await?;
        Ok(SignedIn { user_id, session_id, organization_id, refresh_token })
    }
}

/// An organization that the user is a member of: the oldest, or a new one if there is none.
pub(super) async fn home(work: &mut Work, user: &User) -> Result<OrganizationId, CommandError> {
    for id in &user.organizations {
        if work.load::<Organization>(id).await?.role_of(user.id).is_some() {
            return Ok(*id);
        }
    }
    let id = OrganizationId::new(work.new_id());
    found_organization(work, user.id, id, organization_settings(None)).await?;
    Ok(id)
}

/// A new organization with its owner as member, on both streams.
pub(super) async fn found_organization(
    work: &mut Work,
    owner: UserId,
    organization_id: OrganizationId,
    settings: OrganizationSettings,
) -> Result<(), CommandError> {
    let create = OrganizationCommand::Create { organization_id, settings, owner };
    work.execute::<Organization>(organization_id, create).await?;
    work.execute::<User>(owner, UserCommand::JoinOrganization { organization_id }).await
}

fn organization_settings(name: Option<OrganizationName>) -> OrganizationSettings {
    let unnamed = || OrganizationName::parse(UNNAMED_ORGANIZATION).expect("is a name");
    OrganizationSettings::named(name.unwrap_or_else(unnamed))
}

/// The user whom a claim leads to.
pub(super) fn holder(holder: Option<String>) -> Result<Option<UserId>, CommandError> {
    let damaged = |_| StoreError::Damaged {
        position: 0,
        why: "a mail address's claim is held by no user id".to_string(),
    };
    Ok(holder.map(|id| id.parse()).transpose().map_err(damaged)?)
}
