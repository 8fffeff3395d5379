//! The labels of an organization's posts.

use std::collections::BTreeMap;

use annals_domain::{
    kernel::{OrganizationId, TagId},
    publishing::TagBookEvent,
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    Projection, ProjectionError,
    runtime::{decode, stream_id},
};

pub struct Tags;

#[async_trait]
impl Projection for Tags {
    const NAME: &'static str = "tags";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["tags"];
    const CREATE: &'static str = "
        CREATE TABLE tags (
            organization_id uuid NOT NULL,
            id uuid NOT NULL,
            name text NOT NULL,
            color text NOT NULL,
            PRIMARY KEY (organization_id, id)
        )";

    fn filter(&self) -> Filter {
        Filter { aggregate_types: vec!["publishing.tags".to_string()], ..Filter::default() }
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        for event in events {
            let TagBookEvent::Created { tag_id, name, color } = decode(event)?;
            sqlx::query("INSERT INTO tags (organization_id, id, name, color) VALUES ($1, $2, $3, $4)")
                .bind(stream_id(event)?)
                .bind(tag_id.uuid())
                .bind(name.as_str())
                .bind(color.as_str())
                .execute(&mut *tables)
                .await?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Tag {
    pub id: Uuid,
    pub name: String,
    pub color: String,
}

/// By name; an organization has a few hundred at most.
///
/// # Errors
/// If the database does not answer.
pub async fn list(pool: &PgPool, organization: OrganizationId) -> Result<Vec<Tag>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, name, color FROM read.tags_v1 WHERE organization_id = $1 ORDER BY lower(name), id",
    )
    .bind(organization.uuid())
    .fetch_all(pool)
    .await
}

/// All of an organization by id.
///
/// # Errors
/// If the database does not answer.
pub async fn named(pool: &PgPool, organization: OrganizationId) -> Result<BTreeMap<TagId, Tag>, sqlx::Error> {
    Ok(list(pool, organization).await?.into_iter().map(|tag| (TagId::new(tag.id), tag)).collect())
}
