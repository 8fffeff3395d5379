//! Pictures of people: where their bytes lie, and what goes when they do.
//!
//! The profile's event says where a picture is read, sealed as the rest of the profile; the bytes lie in the
//! file store under a name that follows from the person and the bytes, under a key of the log.

use std::{path::Path, sync::Arc};

use annals_domain::{
    identity::{PictureUrl, Profile, User},
    kernel::UserId,
    publishing::media::MediaType,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};

use super::{Done, Identity};
use crate::{
    bus::{CommandBus, CommandError, Context},
    ports::files::{Files, FilesError},
};

/// Under which everybody's lie.
pub(crate) const FOLDER: &str = "avatars";

/// A square picture on this machine.
#[derive(Clone, Debug)]
pub struct NewAvatar<'a> {
    pub path: &'a Path,
    pub media_type: MediaType,
    /// Of its bytes, in hex.
    pub sha256: &'a str,
}

/// Why a picture was not taken or removed.
#[derive(Debug, thiserror::Error)]
pub enum AvatarError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// Commands on people's pictures.
#[derive(Clone)]
pub struct Avatars {
    identity: Identity,
    bus: CommandBus,
    files: Arc<dyn Files>,
}

impl Avatars {
    pub fn new(identity: Identity, bus: CommandBus, files: Arc<dyn Files>) -> Self {
        Self { identity, bus, files }
    }

    pub fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// What a picture is called: the same for the same bytes of the same person, and not to be guessed.
    pub fn name(&self, user: UserId, avatar: &NewAvatar<'_>) -> String {
        let input = format!("{user}\n{}", avatar.sha256);
        let mac = self.bus.store().derive("identity.avatar", input.as_bytes());
        format!("{}.{}", BASE64.encode(&mac[..16]), avatar.media_type.extension())
    }

    /// Makes it the person's picture, which is read at `url`; the one before goes.
    ///
    /// # Errors
    /// A store that does not answer, or the bus's own. Nothing is kept then.
    pub async fn set(
        &self,
        context: &Context,
        user: UserId,
        avatar: &NewAvatar<'_>,
        url: PictureUrl,
    ) -> Result<Done<()>, AvatarError> {
        let before = self.current(user).await?;
        let name = self.name(user, avatar);
        self.files.put(&key(user, &name), avatar.path).await?;
        match self.change(context, user, Some(url)).await {
            Ok(done) => {
                self.remove(user, before.filter(|before| *before != name)).await;
                Ok(done)
            }
            Err(error) => {
                self.remove(user, Some(name).filter(|name| before.as_ref() != Some(name))).await;
                Err(error.into())
            }
        }
    }

    /// Takes the picture away, also one that is elsewhere.
    ///
    /// # Errors
    /// The bus's own.
    pub async fn clear(&self, context: &Context, user: UserId) -> Result<Done<()>, CommandError> {
        let before = self.current(user).await?;
        let done = self.change(context, user, None).await?;
        self.remove(user, before).await;
        Ok(done)
    }

    async fn change(
        &self,
        context: &Context,
        user: UserId,
        url: Option<PictureUrl>,
    ) -> Result<Done<()>, CommandError> {
        let change = move |before: Profile| Ok(Profile { avatar_url: url.clone(), ..before });
        self.identity.change_profile(context, user, change).await
    }

    /// The name of the person's picture, if it is one of ours.
    pub async fn current(&self, user: UserId) -> Result<Option<String>, CommandError> {
        Ok(current(user, &self.bus.load::<User>(user).await?.state))
    }

    /// What stays because of a failure is not shown any more, and the sweep takes it.
    async fn remove(&self, user: UserId, name: Option<String>) {
        let Some(name) = name else { return };
        if let Err(error) = self.files.delete(&key(user, &name)).await {
            tracing::warn!(user.id = %user, %error, "a picture that is not shown any more is left for the sweep");
        }
    }
}

/// The name of a person's picture, if they are there and it is one of ours.
pub(crate) fn current(id: UserId, user: &User) -> Option<String> {
    let url = user.profile().avatar_url.filter(|_| user.is_active())?;
    let (_, ours) = url.as_str().rsplit_once(&format!("/{FOLDER}/{id}/"))?;
    Some(ours.to_string()).filter(|name| !name.contains('/'))
}

/// Where a picture's bytes lie.
pub fn key(user: UserId, name: &str) -> String {
    format!("{}/{name}", folder(user))
}

pub(crate) fn folder(user: UserId) -> String {
    format!("{FOLDER}/{user}")
}

/// Whose picture lies under a key, and what it is called.
pub(crate) fn owner(key: &str) -> Option<(UserId, &str)> {
    let (user, name) = key.strip_prefix(FOLDER)?.strip_prefix('/')?.split_once('/')?;
    Some((user.parse().ok()?, name))
}
