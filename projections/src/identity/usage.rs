//! What each organization has of what its tier bounds, and which tier that is.

mod queries;

use std::collections::BTreeMap;

use annals_domain::{
    identity::{HoldingsEvent, OrganizationEvent},
    publishing::{MediaLibraryEvent, PostingMonthEvent},
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

pub use queries::{TierFilter, UsageFilter, UsageRow, find, list};

use super::{ORGANIZATION, events, signed};
use crate::{
    Projection, ProjectionError,
    runtime::{decode, stream_id},
};

const HOLDINGS: &str = "identity.holdings";
const LIBRARY: &str = "publishing.media_library";
const MONTH: &str = "publishing.posting_month";

#[derive(Clone, Copy, Debug, Default)]
pub struct Usage;

#[async_trait]
impl Projection for Usage {
    const NAME: &'static str = "usage";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["usage", "usage_months"];
    const CREATE: &'static str = "
        create table usage (
            organization_id uuid primary key,
            name text not null,
            tier text,
            tier_set_at timestamptz,
            tier_reason text,
            members bigint not null default 1,
            invitations bigint not null default 0,
            channels bigint not null default 0,
            api_keys bigint not null default 0,
            media_files bigint not null default 0,
            media_bytes bigint not null default 0,
            created_at timestamptz not null,
            closed_at timestamptz,
            version bigint not null
        );
        create table usage_months (
            organization_id uuid not null,
            month text not null,
            posts bigint not null,
            primary key (organization_id, month)
        )";
    const INDEXES: &'static str = "create index on usage (lower(name), organization_id)";

    fn filter(&self) -> Filter {
        let organizations = OrganizationEvent::TYPES.iter().chain(HoldingsEvent::TYPES);
        events(organizations.chain(MediaLibraryEvent::TYPES).chain(PostingMonthEvent::TYPES).copied())
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        let mut page = Page::default();
        for event in events {
            match event.stream.aggregate_type.as_ref() {
                ORGANIZATION => organization(event, &mut page, tables).await?,
                HOLDINGS => holdings(event, &mut page)?,
                LIBRARY => library(event, &mut page)?,
                MONTH => month(event, &mut page)?,
                _ => {}
            }
        }
        Ok(page.store(tables).await?)
    }
}

/// What a page of events adds up to: many posts of a month are one row.
#[derive(Default)]
struct Page {
    counts: BTreeMap<Uuid, Counts>,
    months: BTreeMap<(Uuid, String), i64>,
}

#[derive(Default)]
struct Counts {
    members: i64,
    invitations: i64,
    channels: i64,
    api_keys: i64,
    media_files: i64,
    media_bytes: i64,
}

impl Page {
    fn of(&mut self, organization: Uuid) -> &mut Counts {
        self.counts.entry(organization).or_default()
    }

    async fn store(self, tables: &mut PgConnection) -> Result<(), sqlx::Error> {
        for (organization, counts) in self.counts {
            sqlx::query(
                "update usage set members = members + $2, invitations = invitations + $3, \
                 channels = channels + $4, api_keys = api_keys + $5, media_files = media_files + $6, \
                 media_bytes = media_bytes + $7 where organization_id = $1",
            )
            .bind(organization)
            .bind(counts.members)
            .bind(counts.invitations)
            .bind(counts.channels)
            .bind(counts.api_keys)
            .bind(counts.media_files)
            .bind(counts.media_bytes)
            .execute(&mut *tables)
            .await?;
        }
        for ((organization, month), posts) in self.months {
            sqlx::query(
                "insert into usage_months as kept (organization_id, month, posts) values ($1, $2, $3) \
                 on conflict (organization_id, month) do update set posts = kept.posts + excluded.posts",
            )
            .bind(organization)
            .bind(month)
            .bind(posts)
            .execute(&mut *tables)
            .await?;
        }
        Ok(())
    }
}

async fn organization(
    event: &UnparsedEvent,
    page: &mut Page,
    tables: &mut PgConnection,
) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    match decode::<OrganizationEvent>(event)? {
        OrganizationEvent::Created { settings, .. } => {
            sqlx::query(
                "insert into usage (organization_id, name, created_at, version) values ($1, $2, $3, 1)",
            )
            .bind(id)
            .bind(settings.name.as_str())
            .bind(event.recorded_at)
            .execute(&mut *tables)
            .await?;
        }
        OrganizationEvent::SettingsChanged { settings } => {
            sqlx::query("update usage set name = $2 where organization_id = $1")
                .bind(id)
                .bind(settings.name.as_str())
                .execute(&mut *tables)
                .await?;
        }
        OrganizationEvent::TierSet { tier, reason, .. } => {
            sqlx::query(
                "update usage set tier = $2, tier_set_at = $3, tier_reason = $4 where organization_id = $1",
            )
            .bind(id)
            .bind(tier.as_str())
            .bind(event.recorded_at)
            .bind(reason.as_ref().map(|reason| reason.as_str()))
            .execute(&mut *tables)
            .await?;
        }
        OrganizationEvent::Closed => {
            sqlx::query("update usage set closed_at = $2 where organization_id = $1")
                .bind(id)
                .bind(event.recorded_at)
                .execute(&mut *tables)
                .await?;
        }
        OrganizationEvent::MemberInvited { .. } => page.of(id).invitations += 1,
        OrganizationEvent::InvitationAccepted { .. } => {
            let counts = page.of(id);
            counts.invitations -= 1;
            counts.members += 1;
        }
        OrganizationEvent::InvitationRevoked { .. } | OrganizationEvent::InvitationExpired { .. } => {
            page.of(id).invitations -= 1;
        }
        OrganizationEvent::MemberRemoved { .. } | OrganizationEvent::MemberLeft { .. } => {
            page.of(id).members -= 1;
        }
        OrganizationEvent::MemberRoleChanged { .. } | OrganizationEvent::OwnershipTransferred { .. } => {}
    }
    sqlx::query("update usage set version = $2 where organization_id = $1")
        .bind(id)
        .bind(signed(event.sequence))
        .execute(tables)
        .await?;
    Ok(())
}

fn holdings(event: &UnparsedEvent, page: &mut Page) -> Result<(), ProjectionError> {
    let counts = page.of(stream_id(event)?);
    match decode::<HoldingsEvent>(event)? {
        HoldingsEvent::ChannelAdded { .. } => counts.channels += 1,
        HoldingsEvent::ChannelRemoved { .. } => counts.channels -= 1,
        HoldingsEvent::ApiKeyAdded { .. } => counts.api_keys += 1,
        HoldingsEvent::ApiKeyRemoved { .. } => counts.api_keys -= 1,
    }
    Ok(())
}

fn library(event: &UnparsedEvent, page: &mut Page) -> Result<(), ProjectionError> {
    let counts = page.of(stream_id(event)?);
    match decode::<MediaLibraryEvent>(event)? {
        MediaLibraryEvent::FileAdded { size_bytes, .. } => {
            counts.media_files += 1;
            counts.media_bytes += signed(size_bytes);
        }
        MediaLibraryEvent::FileRemoved { size_bytes, .. } => {
            counts.media_files -= 1;
            counts.media_bytes -= signed(size_bytes);
        }
    }
    Ok(())
}

fn month(event: &UnparsedEvent, page: &mut Page) -> Result<(), ProjectionError> {
    let (organization, month, change) = match decode::<PostingMonthEvent>(event)? {
        PostingMonthEvent::PostCounted { organization_id, month, .. } => (organization_id, month, 1),
        PostingMonthEvent::PostReleased { organization_id, month, .. } => (organization_id, month, -1),
    };
    *page.months.entry((organization.uuid(), month.as_str().to_string())).or_default() += change;
    Ok(())
}
