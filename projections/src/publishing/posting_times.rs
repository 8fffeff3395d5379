//! When organizations like to post.

use std::collections::BTreeMap;

use annals_domain::{
    kernel::{IntegrationId, OrganizationId},
    publishing::{
        PostingScheduleEvent,
        posting_schedule::{ChannelTimes, Timetable},
    },
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use sqlx::{PgConnection, PgPool, types::Json};

use crate::{
    Projection, ProjectionError,
    runtime::{decode, stream_id},
};

pub struct PostingTimes;

#[async_trait]
impl Projection for PostingTimes {
    const NAME: &'static str = "posting_times";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["posting_times"];
    const CREATE: &'static str = "
        CREATE TABLE posting_times (
            organization_id uuid PRIMARY KEY,
            common json,
            channels json NOT NULL,
            version bigint NOT NULL
        )";

    fn filter(&self) -> Filter {
        Filter { aggregate_types: vec!["publishing.posting_schedule".to_string()], ..Filter::default() }
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    // An organization chooses its times a few times in its life.
    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        for event in events {
            let PostingScheduleEvent::Changed { common, channels, .. } = decode(event)?;
            sqlx::query(
                "INSERT INTO posting_times (organization_id, common, channels, version) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (organization_id) DO UPDATE SET
                     common = excluded.common, channels = excluded.channels, version = excluded.version",
            )
            .bind(stream_id(event)?)
            .bind(common.map(Json))
            .bind(Json(channels))
            .bind(event.sequence.cast_signed())
            .execute(&mut *tables)
            .await?;
        }
        Ok(())
    }
}

/// The posting times of an organization, as it chose them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChosenTimes {
    /// Of all channels that have none of their own; none: the product's own.
    pub common: Option<Timetable>,
    pub channels: BTreeMap<IntegrationId, Timetable>,
    /// 0 where nothing was ever chosen.
    pub version: u64,
}

impl ChosenTimes {
    /// Those that hold for a channel, or for none in particular.
    pub fn of(&self, channel: Option<IntegrationId>) -> Option<&Timetable> {
        channel.and_then(|channel| self.channels.get(&channel)).or(self.common.as_ref())
    }
}

/// The common ones, the channels' own, the version.
type Columns = (Option<Json<Timetable>>, Json<Vec<ChannelTimes>>, i64);

/// # Errors
/// If the database does not answer.
pub async fn get(pool: &PgPool, organization: OrganizationId) -> Result<ChosenTimes, sqlx::Error> {
    let row: Option<Columns> = sqlx::query_as(
        "SELECT common, channels, version FROM read.posting_times_v1 WHERE organization_id = $1",
    )
    .bind(organization.uuid())
    .fetch_optional(pool)
    .await?;
    let Some((common, Json(channels), version)) = row else { return Ok(ChosenTimes::default()) };
    Ok(ChosenTimes {
        common: common.map(|Json(common)| common),
        channels: channels.into_iter().map(|times| (times.channel, times.timetable)).collect(),
        version: version.cast_unsigned(),
    })
}
