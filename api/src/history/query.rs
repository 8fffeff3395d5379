//! Which events a caller asks for, as the query string says it.

use annals_domain::kernel::OrganizationId;
use annals_eventstore::{Candidates, EventStore, HistoryQuery, Order, StoreError};
use annals_projections::{
    Reader,
    history::causation::{OfRequest, of_request},
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    moment::Moment,
    scope::{Scope, of_organization},
};
use crate::http::{ApiError, FieldError};

/// Events of a page, if nothing is said, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Events of one request up to which they are looked up; in the log one by one, if there are more.
const CORRELATED_MAX: usize = 10_000;
/// Characters of a filter.
const FILTER_CHARS_MAX: usize = 200;

/// The past, narrowed down: each condition that is given holds.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// From this position or time on (with it).
    pub from: Option<String>,
    /// Up to this position or time (with it).
    pub to: Option<String>,
    /// An event type or its beginning: `publishing.post.scheduled`, `publishing.post`, `identity`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    pub event_type: Option<String>,
    /// `publishing.post`.
    pub aggregate_type: Option<String>,
    pub aggregate_id: Option<String>,
    /// A user's or key's id, or a process' name.
    pub actor: Option<String>,
    /// What all that came of one request shares.
    pub correlation: Option<Uuid>,
    /// An organization's id: for the operator, who sees those of all.
    pub organization: Option<Uuid>,
    /// `oldest` or `newest` first; `oldest` if it is left out.
    pub order: Option<String>,
    /// `meta.nextCursor` of the page before.
    pub cursor: Option<u64>,
    /// At most 1000; 100 if it is left out. Of a stream of lines: none.
    pub limit: Option<usize>,
}

/// What was asked, checked; its moments are not looked up yet.
#[derive(Clone, Debug)]
pub struct Asked {
    from: Option<Moment>,
    to: Option<Moment>,
    cursor: Option<u64>,
    query: HistoryQuery,
    pub limit: Option<usize>,
}

impl EventsQuery {
    /// Checks it, cut to what the scope sees.
    ///
    /// # Errors
    /// 400, naming each field at fault.
    pub fn check(&self, scope: Scope) -> Result<Asked, ApiError> {
        let mut errors = Vec::new();
        let mut moment = |field, text: &Option<String>| {
            Moment::parse(field, text.as_deref()).unwrap_or_else(|error| {
                errors.push(error);
                None
            })
        };
        let (from, to) = (moment("from", &self.from), moment("to", &self.to));
        for (field, text) in [
            ("type", &self.event_type),
            ("aggregateType", &self.aggregate_type),
            ("aggregateId", &self.aggregate_id),
            ("actor", &self.actor),
        ] {
            let length = text.as_ref().map(|text| text.chars().count());
            if length.is_some_and(|length| !(1..=FILTER_CHARS_MAX).contains(&length)) {
                errors.push(FieldError::new(field, format!("must have 1 to {FILTER_CHARS_MAX} characters")));
            }
        }
        let order = match self.order.as_deref() {
            None | Some("oldest") => Order::OldestFirst,
            Some("newest") => Order::NewestFirst,
            Some(_) => {
                errors.push(FieldError::new("order", "must be oldest or newest"));
                Order::OldestFirst
            }
        };
        if self.limit.is_some_and(|limit| limit == 0) {
            errors.push(FieldError::new("limit", "must be at least 1"));
        }
        if self.cursor.is_some_and(|cursor| i64::try_from(cursor).is_err()) {
            errors.push(FieldError::new("cursor", "must be a nextCursor of this list"));
        }
        if self.organization.is_some() && scope != Scope::Everything {
            errors.push(FieldError::new("organization", "is the operator's to choose; yours is meant"));
        }
        if !errors.is_empty() {
            return Err(ApiError::validation(errors));
        }
        let chosen = self.organization.map(|id| of_organization(OrganizationId::new(id)));
        let query = HistoryQuery {
            event_type: self.event_type.clone(),
            aggregate_type: self.aggregate_type.clone(),
            aggregate_id: self.aggregate_id.clone(),
            actor: self.actor.clone(),
            correlation_id: self.correlation,
            organization: scope.organization().or(chosen),
            order,
            ..HistoryQuery::default()
        };
        Ok(Asked { from, to, cursor: self.cursor, query, limit: self.limit })
    }
}

impl Asked {
    /// Events of one page.
    ///
    /// # Errors
    /// 400 for more than a page may hold.
    pub fn page_limit(&self) -> Result<usize, ApiError> {
        let limit = self.limit.unwrap_or(LIMIT);
        if limit > LIMIT_MAX {
            return Err(ApiError::field("limit", format!("must be between 1 and {LIMIT_MAX}")));
        }
        Ok(limit)
    }

    /// [`Asked::resolve`], and what the read model of causation knows of the request that is asked for:
    /// the log has no index for that.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn locate(&self, store: &EventStore, reader: &Reader) -> Result<HistoryQuery, ApiError> {
        let mut query = self.resolve(store).await?;
        if let Some(correlation) = query.correlation_id {
            let known = of_request(reader, correlation, CORRELATED_MAX).await?;
            query.candidates = known.map(|OfRequest { up_to, positions }| Candidates { up_to, positions });
        }
        Ok(query)
    }

    /// The query of the log, with times as the positions they are.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn resolve(&self, store: &EventStore) -> Result<HistoryQuery, StoreError> {
        let mut query = self.query.clone();
        if let Some(from) = self.from {
            query.from = from.since(store).await?;
        }
        if let Some(to) = self.to {
            query.to = to.until(store).await?;
        }
        match (self.cursor, query.order) {
            (None, _) => {}
            (Some(cursor), Order::OldestFirst) => query.from = query.from.max(cursor),
            (Some(cursor), Order::NewestFirst) => query.to = query.to.min(cursor),
        }
        Ok(query)
    }
}
