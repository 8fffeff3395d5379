//! Through which door each post came: the source of the command that wrote it.
//!
//! Beside the posts and not among them: theirs is the largest build, and reads no metadata.

use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::{
    Projection, ProjectionError,
    runtime::{CopyIn, give_way, metadata, stream_id},
};

pub struct PostOrigins;

#[async_trait]
impl Projection for PostOrigins {
    const NAME: &'static str = "post_origins";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["post_origins"];
    const CREATE: &'static str = "
        CREATE TABLE post_origins (
            post_id uuid PRIMARY KEY,
            source text NOT NULL
        )";

    fn filter(&self) -> Filter {
        Filter { event_types: vec!["publishing.post.drafted".to_string()], ..Filter::default() }
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::WithoutClient
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        // A post is drafted once, whatever becomes of it.
        let mut copy = CopyIn::begin(tables, "post_origins", &["post_id", "source"]).await?;
        for (nth, event) in events.iter().enumerate() {
            let (id, source) = (stream_id(event)?, metadata(event)?.source);
            copy.row(|row| {
                row.value(id)?;
                row.value(source.as_str())
            })
            .await?;
            give_way(nth).await;
        }
        Ok(copy.finish().await?)
    }
}
