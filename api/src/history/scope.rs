//! Whose past a caller may see: their organization's, or, as the operator, everything.

use std::borrow::Cow;

use annals_domain::{identity::Organization, kernel::OrganizationId};
use annals_eventstore::{OfOrganization, RecordedEvent};
use cqrs_es::Aggregate as _;
use uuid::Uuid;

use crate::http::{ApiError, Caller};

/// The resource of the policy that this is about; its actions are `read` and, of sealed values, `open`.
pub const RESOURCE: &str = "history";

/// Which events somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of the installation: the operator's.
    Everything,
    /// Those of one organization.
    Organization(OrganizationId),
}

impl Scope {
    /// What this caller may see of the past.
    ///
    /// # Errors
    /// 403 without the right `history:read`.
    pub fn of(caller: &Caller) -> Result<Self, ApiError> {
        caller.require(RESOURCE, "read")?;
        Ok(match caller.may_everywhere(RESOURCE, "read") {
            true => Self::Everything,
            false => Self::Organization(caller.organization_id),
        })
    }

    /// Whether an event is within.
    pub fn sees(&self, event: &RecordedEvent) -> bool {
        self.organization().is_none_or(|organization| organization.has(event))
    }

    /// For queries of the log: none if everything is within.
    pub fn organization(&self) -> Option<OfOrganization> {
        match self {
            Self::Everything => None,
            Self::Organization(id) => Some(of_organization(*id)),
        }
    }
}

/// Whose event it is, if it is an organization's: see [`OfOrganization`].
pub(super) fn organization_of(event: &RecordedEvent) -> Option<Uuid> {
    match event.stream.aggregate_type == Organization::TYPE {
        true => event.stream.aggregate_id.parse().ok(),
        false => event.metadata.organization_id,
    }
}

/// An organization as the log tells its events from those of others.
pub fn of_organization(id: OrganizationId) -> OfOrganization {
    OfOrganization { id: id.uuid(), aggregate_type: Cow::Borrowed(Organization::TYPE) }
}
