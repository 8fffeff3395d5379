//! What handlers share on one node.

use std::sync::Arc;

use annals_commands::{
    bus::CommandBus,
    identity::{ExternalSignIn, Identity},
    ports::{clock::Clock, social::Platforms},
};
use annals_eventstore::notary::Notary;
use annals_projections::{Projection, Reader};

use crate::{
    console::samples::Samples,
    http::{
        ApiError,
        caller::Directory,
        config::HttpConfig,
        limits::RateLimits,
        own_writes::{OwnWrites, ReadAfter, Reads},
        tokens::Tokens,
    },
    live::Hub,
    operations::Operations,
    publishing::MediaDesk,
    rights::Rights,
};

/// For handlers: `state: web::Data<AppState>`.
#[derive(Clone)]
pub struct AppState {
    pub bus: CommandBus,
    pub identity: Identity,
    /// Signing in with other providers.
    pub sign_in: ExternalSignIn,
    pub reader: Reader,
    pub platforms: Platforms,
    pub notary: Notary,
    pub media: MediaDesk,
    /// For the overview's plots.
    pub samples: Samples,
    pub operations: Operations,
    pub edge: Arc<Edge>,
}

/// What is decided about a request before its handler runs, and needs no log to be decided by.
pub struct Edge {
    pub config: HttpConfig,
    pub rights: Arc<Rights>,
    pub tokens: Tokens,
    pub directory: Arc<dyn Directory>,
    pub limits: RateLimits,
    pub own_writes: OwnWrites,
    /// Who listens to what happens.
    pub live: Hub,
    pub clock: Arc<dyn Clock>,
}

impl Edge {
    /// `pool` keeps the limits that hold across nodes.
    pub fn new(
        config: HttpConfig,
        rights: Rights,
        tokens: Tokens,
        directory: Arc<dyn Directory>,
        clock: Arc<dyn Clock>,
        pool: Option<sqlx::PgPool>,
    ) -> Self {
        Self {
            limits: RateLimits::new(&config.rate_limits, pool),
            rights: Arc::new(rights),
            own_writes: OwnWrites::default(),
            live: Hub::default(),
            config,
            tokens,
            directory,
            clock,
        }
    }
}

impl std::ops::Deref for AppState {
    type Target = Edge;

    /// So that `state.tokens`, `state.rights` and `state.config` read as what they are.
    fn deref(&self) -> &Edge {
        &self.edge
    }
}

impl AppState {
    /// The reader, once the read model `P` has what this caller must see: the position in
    /// `Annals-After`, or their own last command on this node.
    ///
    /// ```ignore
    /// let reader = state.reader_for::<Posts>(&caller).await?;
    /// let posts = annals_projections::publishing::posts::list(reader, …).await?;
    /// ```
    ///
    /// # Errors
    /// 503 with `Retry-After` if the position asked for is not reached within 5 s, or if the read
    /// model has never been built.
    pub async fn reader_for<P: Projection>(&self, who: &impl Reads) -> Result<&Reader, ApiError> {
        match who.read_after() {
            ReadAfter::Asked(position) => {
                self.reader.wait::<P>(position, self.config.read_after_wait).await?;
            }
            ReadAfter::Own(position) => {
                let waited = self.reader.wait::<P>(position, self.config.own_write_wait).await;
                match waited {
                    // They did not ask for it: what there is is better than an error.
                    Ok(()) | Err(annals_projections::ReadError::Behind { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            ReadAfter::Anything => self.reader.wait::<P>(0, self.config.own_write_wait).await?,
        }
        Ok(&self.reader)
    }
}
