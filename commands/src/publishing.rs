//! Publishing what is due, and commands of the publishing context that need a platform.

mod attachments;
pub mod authorizations;
pub mod channels;
mod checks;
mod closing;
mod figures;
pub mod import;
pub mod media;
mod months;
mod outcome;
pub mod posting_times;
pub mod posts;
mod publish;
mod publisher;
mod reach;
mod refresh;
mod refusal;
pub mod retry;
pub mod series;
pub mod watchdog;

pub use channels::Channels;
pub use closing::ClosedOrganizations;
pub use figures::{FiguresKeeper, FiguresTimer};
pub use import::{ImportClerk, ImportTimer, Imports};
pub use media::{FinishedPosts, Media, MediaFiles, MediaLimits, MediaProcessing, ProcessMedia};
pub use posting_times::PostingTimes;
pub use posts::{Member, Posts};
pub use publish::PublishTimer;
pub use publisher::Publisher;
pub use reach::Reach;
pub use refresh::{CredentialsKeeper, RefreshTimer};
pub use refusal::PublishingRefusal;
pub use watchdog::{DueDeliveries, Watchdog, WatchdogOptions};

use annals_domain::publishing::PostingMonth;
use annals_eventstore::SnapshotPolicy;
use cqrs_es::Aggregate as _;

/// How publishing's aggregates are snapshot, for [`annals_eventstore::StoreOptions::snapshots`].
pub fn snapshot_policies() -> [(&'static str, SnapshotPolicy); 1] {
    let fingerprint = PostingMonth::SNAPSHOT_FINGERPRINT;
    [(PostingMonth::TYPE, SnapshotPolicy { every: 200, fingerprint })]
}
