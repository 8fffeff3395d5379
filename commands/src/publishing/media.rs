//! Taking files into the media library, and deleting them.
//!
//! The bytes are stored before the event that says so, under a key that follows from the asset's id: what
//! an append that never came has left there, [`MediaFiles`] sweeps away. Deleting is the other way round:
//! first the event, then the bytes.

mod files;
mod processing;
mod uses;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use annals_domain::{
    Refusal, RefusalKind,
    kernel::{MediaId, OrganizationId, Quota},
    publishing::{
        MediaAsset, MediaAssetCommand, MediaAssetError, MediaLibrary, MediaLibraryCommand,
        media::{FileName, MediaOrigin, MediaType, NewMedia, StoredFile},
    },
};
use annals_eventstore::{ClaimKey, EventStore};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::json;
use subtle::ConstantTimeEq;
use uuid::Uuid;

pub use files::{MediaFiles, Swept};
pub use processing::{MediaProcessing, ProcessMedia};
pub use uses::FinishedPosts;
pub(super) use uses::attach;

use super::posts::{Member, Whose};
use crate::{
    bus::{CommandBus, CommandError, Context, Outcome, Work},
    ports::files::{Files, FilesError},
    tiers,
};

/// Claims of contents: an organization keeps the same bytes once.
pub(crate) const CONTENT_CLAIMS: &str = "publishing.media";

/// The file as it was uploaded, among its variants.
pub const ORIGINAL: &str = "original";

/// Commands on the media library.
#[derive(Clone)]
pub struct Media {
    bus: CommandBus,
    files: Arc<dyn Files>,
    limits: MediaLimits,
}

/// How much may be kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediaLimits {
    /// Bytes of all of an organization's files, without their variants; none: without a limit.
    pub organization_bytes_max: Option<u64>,
}

/// A file that came in whole, was looked through, and lies on this machine.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub name: FileName,
    pub file: StoredFile,
    pub origin: MediaOrigin,
    pub path: PathBuf,
}

/// What became of a file that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenIn {
    pub id: MediaId,
    /// False: the organization had the same bytes already, and this is what it has.
    pub is_new: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Files(#[from] FilesError),
}

#[derive(Debug, thiserror::Error)]
enum MediaRefusal {
    #[error("only who uploaded it or an admin may delete this")]
    NotYours,
}

impl Refusal for MediaRefusal {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Forbidden
    }

    fn code(&self) -> &'static str {
        "FORBIDDEN"
    }
}

impl Media {
    pub fn new(bus: CommandBus, files: Arc<dyn Files>, limits: MediaLimits) -> Self {
        Self { bus, files, limits }
    }

    pub fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// Takes a file in, unless the organization has the same bytes already.
    ///
    /// # Errors
    /// A library that is full, a store that does not answer, or the bus's own. Nothing is kept then.
    pub async fn take_in(
        &self,
        context: &Context,
        member: Member,
        arrived: Arrived,
    ) -> Result<Outcome<TakenIn>, MediaError> {
        let organization = member.organization;
        let claim = content_claim(self.bus.store(), organization, &arrived.file.sha256);
        let id = MediaId::new(Uuid::now_v7());
        let key = key(organization, id, ORIGINAL, arrived.file.media_type);
        let is_known = self.bus.store().claim_holder(&claim).await.map_err(CommandError::from)?.is_some();
        if !is_known {
            self.files.put(&key, &arrived.path).await?;
        }
        let taken = self.record(context, member, id, &arrived, &claim, is_known).await;
        let is_ours = matches!(&taken, Ok(Outcome { value: Some(taken), .. }) if taken.id == id);
        if !is_ours
            && !is_known
            && let Err(error) = self.files.delete(&key).await
        {
            tracing::warn!(file.key = %key, %error, "a file that was not taken in is left for the sweep");
        }
        let mut outcome = taken?;
        if outcome.value.is_none() {
            let id = serde_json::from_value(outcome.receipt.result["id"].clone()).ok();
            outcome.value = id.map(|id| TakenIn { id, is_new: false });
        }
        Ok(outcome)
    }

    async fn record(
        &self,
        context: &Context,
        member: Member,
        id: MediaId,
        arrived: &Arrived,
        claim: &ClaimKey,
        is_known: bool,
    ) -> Result<Outcome<TakenIn>, CommandError> {
        let arrived = Arc::new(arrived.clone());
        let bytes_max = self.limits.organization_bytes_max;
        let claim = claim.clone();
        let taken = self.bus.transact(context, "UploadMedia", move |work| {
            let (arrived, claim) = (Arc::clone(&arrived), claim.clone());
            Box::pin(async move {
                if let Some(known) = holder(work, &claim).await? {
                    work.result(json!({ "id": known }));
                    return Ok(TakenIn { id: known, is_new: false });
                }
                if is_known {
                    // It was deleted while it came in: its bytes are not in the store.
                    return Err(CommandError::refused(MediaAssetError::DeletedMeanwhile));
                }
                let new = NewMedia {
                    organization: member.organization,
                    uploaded_by: member.user,
                    name: arrived.name.clone(),
                    file: arrived.file.clone(),
                    origin: arrived.origin,
                    now: work.now(),
                };
                let size_bytes = new.file.size_bytes;
                let allowance = tiers::allowance(work, member.organization, Quota::MediaBytes).await?;
                work.execute::<MediaAsset>(id, MediaAssetCommand::Store(Box::new(new))).await?;
                let add = MediaLibraryCommand::Add { media: id, size_bytes, bytes_max, allowance };
                work.execute::<MediaLibrary>(member.organization, add).await?;
                work.take_claim(claim, id);
                work.result(json!({ "id": id }));
                Ok(TakenIn { id, is_new: true })
            })
        });
        taken.await
    }

    /// Deletes a file and, soon after, its bytes and those of its variants.
    ///
    /// # Errors
    /// [`MediaAssetError::InUse`] while posts that are not finished show it; not found; not theirs.
    pub async fn delete(
        &self,
        context: &Context,
        member: Member,
        id: MediaId,
    ) -> Result<Outcome<()>, CommandError> {
        let store = self.bus.store().clone();
        self.bus
            .transact(context, "DeleteMedia", move |work| {
                let store = store.clone();
                Box::pin(async move {
                    let asset = of_organization(work, member.organization, id).await?;
                    if asset.uploaded_by() != member.user && member.posts == Whose::Own {
                        return Err(CommandError::refused(MediaRefusal::NotYours));
                    }
                    let command = MediaAssetCommand::Delete { by: Some(member.user), now: work.now() };
                    work.execute::<MediaAsset>(id, command).await?;
                    if let Some(file) = asset.file() {
                        let remove = MediaLibraryCommand::Remove { media: id, size_bytes: file.size_bytes };
                        work.execute::<MediaLibrary>(member.organization, remove).await?;
                        work.release_claim(content_claim(&store, member.organization, &file.sha256), id);
                    }
                    Ok(())
                })
            })
            .await
    }

    /// What makes a file's address unguessable: the same for ever, and nowhere in the log.
    pub fn token(&self, id: MediaId) -> String {
        let mac = self.bus.store().derive("publishing.media-file", id.uuid().as_bytes());
        BASE64.encode(&mac[..16])
    }

    /// Whether a token is that of a file.
    pub fn is_token(&self, id: MediaId, token: &str) -> bool {
        self.token(id).as_bytes().ct_eq(token.as_bytes()).into()
    }
}

/// A file of the organization that is there.
pub(super) async fn of_organization(
    work: &mut Work,
    organization: OrganizationId,
    id: MediaId,
) -> Result<Arc<MediaAsset>, CommandError> {
    let asset = work.load::<MediaAsset>(id).await?;
    if asset.exists() && asset.organization() == organization {
        Ok(asset)
    } else {
        Err(CommandError::refused(MediaAssetError::NotFound))
    }
}

async fn holder(work: &mut Work, claim: &ClaimKey) -> Result<Option<MediaId>, CommandError> {
    Ok(work.claim_holder(claim).await?.and_then(|holder| holder.parse().ok()))
}

/// The same bytes are kept once in an organization.
pub(crate) fn content_claim(store: &EventStore, organization: OrganizationId, sha256: &str) -> ClaimKey {
    store.claim_key(CONTENT_CLAIMS, &format!("{organization}\n{sha256}"))
}

/// Where the bytes of a file or of one of its variants lie.
pub fn key(organization: OrganizationId, id: MediaId, variant: &str, kind: MediaType) -> String {
    format!("{}/{variant}.{}", folder(organization, id), kind.extension())
}

/// Under which everything of a file lies.
fn folder(organization: OrganizationId, id: MediaId) -> String {
    format!("{}/{id}", organization_folder(organization))
}

fn organization_folder(organization: OrganizationId) -> String {
    format!("media/{organization}")
}

/// Whose file lies under a key.
fn owner(key: &str) -> Option<(OrganizationId, MediaId)> {
    let mut parts = Path::new(key).iter().filter_map(|part| part.to_str());
    if parts.next() != Some("media") {
        return None;
    }
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
