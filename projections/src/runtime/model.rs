//! A projection without its type, and the names that derive from it.

use std::collections::HashSet;

use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use sqlx::PgConnection;

use super::{Projection, ProjectionError};

/// [`Projection`] as an object: the runtime keeps many of them in one list.
#[async_trait]
pub(super) trait Model: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    fn tables(&self) -> &'static [&'static str];
    fn create(&self) -> &'static str;
    fn indexes(&self) -> &'static str;
    fn filter(&self) -> Filter;
    fn metadata(&self) -> MetadataNeeds;
    fn decode_ahead(&self, event: &UnparsedEvent);
    fn key(&self, event: &UnparsedEvent) -> String;
    fn purges(&self, event: &UnparsedEvent) -> bool;
    async fn apply(&self, events: &[UnparsedEvent], tables: &mut PgConnection)
    -> Result<(), ProjectionError>;
}

#[async_trait]
impl<P: Projection> Model for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn version(&self) -> u32 {
        P::VERSION
    }

    fn tables(&self) -> &'static [&'static str] {
        P::TABLES
    }

    fn create(&self) -> &'static str {
        P::CREATE
    }

    fn indexes(&self) -> &'static str {
        P::INDEXES
    }

    fn filter(&self) -> Filter {
        Projection::filter(self)
    }

    fn metadata(&self) -> MetadataNeeds {
        Projection::metadata(self)
    }

    fn decode_ahead(&self, event: &UnparsedEvent) {
        Projection::decode_ahead(self, event);
    }

    fn key(&self, event: &UnparsedEvent) -> String {
        Projection::key(self, event)
    }

    fn purges(&self, event: &UnparsedEvent) -> bool {
        Projection::purges(self, event)
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        Projection::apply(self, events, tables).await
    }
}

/// `posts_v3_g2`: where the tables of one generation live.
pub(super) fn schema(name: &str, version: u32, generation: u32) -> String {
    format!("{name}_v{version}_g{generation}")
}

/// `posts_v3`: the view of a table, in the schema `read`.
pub(super) fn view(table: &str, version: u32) -> String {
    format!("{table}_v{version}")
}

/// What the advisory lock of a projection's leader is a hash of.
pub(super) fn lock_name(name: &str, version: u32) -> String {
    format!("annals.projection:{name}:v{version}")
}

/// What a generation's tables were made from, to notice a change without a new version.
pub(super) fn shape(model: &dyn Model) -> String {
    format!("{}\n{}\n{}", model.tables().join(","), model.create(), model.indexes())
}

/// Checks that names can be schemas and that no two projections share a name or a view.
///
/// # Errors
/// [`ProjectionError::Malformed`], naming the culprit.
pub(super) fn check<'m>(models: impl Iterator<Item = &'m dyn Model>) -> Result<(), ProjectionError> {
    let malformed = |why: String| Err(ProjectionError::Malformed { why });
    let mut names = HashSet::new();
    let mut views = HashSet::new();
    for model in models {
        let name = model.name();
        // Postgres cuts identifiers at 63 bytes; version and generation need their share.
        for identifier in std::iter::once(&name).chain(model.tables()) {
            let plain = identifier.len() <= 40
                && identifier.starts_with(|c: char| c.is_ascii_lowercase())
                && identifier.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if !plain {
                return malformed(format!(
                    "{identifier:?} must be at most 40 lower-case letters, digits and underscores"
                ));
            }
        }
        if !names.insert(name) {
            return malformed(format!("{name} is there twice"));
        }
        for table in model.tables() {
            if !views.insert(view(table, model.version())) {
                return malformed(format!("{name} shares its table {table} with another projection"));
            }
        }
    }
    Ok(())
}
