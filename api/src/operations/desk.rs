//! What an operator may know: the same answers for the API, the console and the command line.

use annals_commands::{
    bus::CommandBus,
    nodes, process,
    timers::{self, TimerFilter},
};
use annals_projections::runtime::{Admin, AdminError, ParkedKey};

use super::views::{self, NodeView, ParkedEventView, ParkedKeyView, ProcessView, ProjectionView, TimerView};
use crate::http::ApiError;

/// The operator's tools. One per node, cheap to clone; they work on any node, whatever its roles.
#[derive(Clone)]
pub struct Operations {
    pub(super) bus: CommandBus,
    pub(super) admin: Admin,
}

impl Operations {
    pub fn new(bus: CommandBus, admin: Admin) -> Self {
        Self { bus, admin }
    }

    /// Every read model, by name and version, with the rebuild that is under way beside it.
    ///
    /// # Errors
    /// 503 if the database does not answer.
    pub async fn projections(&self) -> Result<Vec<ProjectionView>, ApiError> {
        let generations = self.admin.generations().await?;
        let nodes = nodes::alive(self.bus.store().pool()).await?;
        Ok(views::projections(&generations, &nodes, self.bus.now()))
    }

    /// One read model, in the newest version that readers have, or else that is being built.
    ///
    /// # Errors
    /// 404 if there is none of this name; 503 if the database does not answer.
    pub async fn projection(&self, name: &str) -> Result<ProjectionView, ApiError> {
        let of_name = self.projections().await?.into_iter().filter(|one| one.name == name);
        let newest = of_name.max_by_key(|one| (one.state == views::ProjectionState::Live, one.version));
        newest.ok_or_else(|| ApiError::not_found("read model"))
    }

    /// A page of the keys that a read model could not apply, by their first position.
    ///
    /// # Errors
    /// 404 if there is no read model of this name; 503 if the database does not answer.
    pub async fn parked(
        &self,
        name: &str,
        after: Option<&ParkedKey>,
        limit: u32,
    ) -> Result<Vec<ParkedKeyView>, ApiError> {
        self.known(name)?;
        let keys = self.admin.parked_after(name, after, limit).await?;
        Ok(keys.into_iter().map(ParkedKeyView::from).collect())
    }

    /// The first events that wait on one key, with every sealed value erased.
    ///
    /// # Errors
    /// 404 if nothing is parked on it; 503 if the database does not answer.
    pub async fn parked_events(
        &self,
        name: &str,
        key: &str,
        limit: u32,
    ) -> Result<Vec<ParkedEventView>, ApiError> {
        self.known(name)?;
        let events = self.admin.parked_events(name, key, limit).await?;
        if events.is_empty() {
            return Err(ApiError::not_found("parked key"));
        }
        Ok(events.into_iter().map(ParkedEventView::from).collect())
    }

    /// A page of the timers that are set, the soonest due first.
    ///
    /// # Errors
    /// 503 if the database does not answer.
    pub async fn timers(&self, filter: &TimerFilter, limit: u32) -> Result<Vec<TimerView>, ApiError> {
        let timers = timers::list(self.bus.store().pool(), self.bus.now(), filter, limit).await?;
        Ok(timers.into_iter().map(TimerView::from).collect())
    }

    /// How far each process manager has reacted, and which node leads it.
    ///
    /// # Errors
    /// 503 if the database does not answer.
    pub async fn processes(&self) -> Result<Vec<ProcessView>, ApiError> {
        let pool = self.bus.store().pool();
        let (checkpoints, nodes) = (process::checkpoints(pool).await?, nodes::alive(pool).await?);
        let now = self.bus.now();
        Ok(checkpoints.into_iter().map(|checkpoint| ProcessView::of(checkpoint, &nodes, now)).collect())
    }

    /// The nodes that live, and what each of them leads.
    ///
    /// # Errors
    /// 503 if the database does not answer.
    pub async fn nodes(&self) -> Result<Vec<NodeView>, ApiError> {
        let pool = self.bus.store().pool();
        let nodes = nodes::alive(pool).await?;
        let checkpoints = process::checkpoints(pool).await?;
        let generations = self.admin.generations().await?;
        Ok(nodes.into_iter().map(|node| NodeView::of(node, &generations, &checkpoints)).collect())
    }

    /// Whether this program has a read model of this name.
    pub(super) fn known(&self, name: &str) -> Result<(), ApiError> {
        if self.admin.knows(name) { Ok(()) } else { Err(ApiError::not_found("read model")) }
    }
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Unknown { .. } => Self::not_found("read model"),
            AdminError::Database(error) => error.into(),
            AdminError::Store(error) => error.into(),
        }
    }
}
