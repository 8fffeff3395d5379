//! The log: append, load, subscribe, snapshots, sealed values.
//!
//! It knows streams, envelopes and bytes; it knows no product. What its rows
//! look like, and why an append is a group commit, is in `docs/log.md`.

mod aggregates;
mod append;
pub mod backup;
mod commit;
mod event;
mod follow;
mod framework;
mod history;
mod keyring;
mod load;
pub mod notary;
mod page;
mod prepare;
mod read;
mod seal;
mod sealing;
mod shared;
mod snapshot;
mod store;
mod stored;
mod subscribe;
#[doc(hidden)]
pub mod testing;
mod unparsed;

pub use append::{
    Append, AppendError, Assert, Claim, ClaimKey, Expected, Idempotency, IdempotencyRef, NewEvent, Receipt,
    StreamAppend, StreamVersion,
};
pub use event::{Actor, ActorKind, ClientInfo, Metadata, RecordedEvent, Source, StoredEvent, StreamId};
pub use framework::{CqrsContext, CqrsLog};
pub use history::{Candidates, HistoryPage, HistoryQuery, OfOrganization, Order};
pub use load::{LoadError, Loaded, SnapshotPolicy, Upcast, Upcaster};
pub use seal::{KeyringError, MasterKey, Opening};
pub use store::{EventStore, StoreError, StoreOptions};
pub use stored::{StoredBatch, StoredEvents};
pub use subscribe::{Batch, Filter, Subscription};
pub use unparsed::{DecodeError, MetadataNeeds, UnparsedEvent};
