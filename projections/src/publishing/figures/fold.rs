//! From events to rows: what is known of the posts and channels of a batch is loaded, compared and written
//! back at once.

use std::collections::BTreeSet;

use annals_domain::publishing::{
    ChannelFiguresEvent, PostFiguresEvent,
    figures::{AccountCounts, PostCounts},
};
use annals_eventstore::UnparsedEvent;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{CHANNEL, Counts};
use crate::{
    ProjectionError,
    runtime::{CopyIn, CopyRow, Rows, TableRow, decode},
};

/// What is counted first counts from the post's beginning, if it was read so soon after that.
const FROM_THE_BEGINNING: TimeDelta = TimeDelta::days(2);

pub(super) struct Batch {
    posts: Rows<PostRow>,
    channels: Rows<ChannelRow>,
    changes: Vec<Change>,
    looks: Vec<Look>,
}

#[derive(Clone, FromRow)]
struct PostRow {
    id: Uuid,
    post_id: Uuid,
    channel_id: Uuid,
    organization_id: Uuid,
    published_at: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
    #[sqlx(flatten)]
    counts: Counts,
    lost_at: Option<DateTime<Utc>>,
}

#[derive(Clone, FromRow)]
struct ChannelRow {
    id: Uuid,
    organization_id: Uuid,
    looked_at: DateTime<Utc>,
    counted_at: Option<DateTime<Utc>>,
    followers: Option<i64>,
    following: Option<i64>,
    posts: Option<i64>,
    missing: Option<String>,
    missing_reason: Option<String>,
    missing_since: Option<DateTime<Utc>>,
}

/// A row of `figures_post_changes`.
struct Change {
    place: (i64, i32),
    post_id: Uuid,
    channel_id: Uuid,
    organization_id: Uuid,
    at: DateTime<Utc>,
    counts: Counts,
}

/// A row of `figures_channel_looks`.
struct Look {
    place: (i64, i32),
    channel_id: Uuid,
    organization_id: Uuid,
    at: DateTime<Utc>,
    is_whole: bool,
    account: AccountCounts,
    followers_change: Option<i64>,
}

/// The row of a post on a channel.
fn row_id(post: Uuid, channel: Uuid) -> Uuid {
    Uuid::new_v5(&post, channel.as_bytes())
}

impl Batch {
    pub(super) async fn load(
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<Self, ProjectionError> {
        let (mut posts, mut channels) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            let (first, second) = event.stream.aggregate_id.split_once(':').unwrap_or_default();
            let id = |text: &str| text.parse::<Uuid>().map_err(|error| ProjectionError::event(event, error));
            if event.stream.aggregate_type.as_ref() == CHANNEL {
                channels.insert(id(first)?);
            } else {
                posts.insert(row_id(id(first)?, id(second)?));
            }
        }
        Ok(Self {
            posts: Rows::load(posts, tables).await?,
            channels: Rows::load(channels, tables).await?,
            changes: Vec::new(),
            looks: Vec::new(),
        })
    }

    pub(super) fn event(&mut self, event: &UnparsedEvent) -> Result<(), ProjectionError> {
        let place = (event.position.cast_signed(), event.part.cast_signed());
        if event.stream.aggregate_type.as_ref() == CHANNEL {
            self.looked(place, decode(event)?);
        } else {
            self.post(place, decode(event)?);
        }
        Ok(())
    }

    fn post(&mut self, place: (i64, i32), event: PostFiguresEvent) {
        match event {
            PostFiguresEvent::Observed { organization_id, post_id, channel_id, published_at, counts, at } => {
                let (post_id, channel_id) = (post_id.uuid(), channel_id.uuid());
                let (id, organization_id) = (row_id(post_id, channel_id), organization_id.uuid());
                let counts = Counts::from(counts);
                let known = self.posts.get_mut(id).filter(|row| row.published_at == Some(published_at));
                let before = match known {
                    Some(row) => row.counts,
                    None if at - published_at < FROM_THE_BEGINNING => Counts::ZERO,
                    None => Counts::default(),
                };
                let changed = counts.since(before);
                self.changes.push(Change {
                    place,
                    post_id,
                    channel_id,
                    organization_id,
                    at,
                    counts: changed,
                });
                let published_at = Some(published_at);
                let lost_at = None;
                self.posts.put(PostRow {
                    id,
                    post_id,
                    channel_id,
                    organization_id,
                    published_at,
                    at,
                    counts,
                    lost_at,
                });
            }
            PostFiguresEvent::Lost { organization_id, post_id, channel_id, at } => {
                let (post_id, channel_id) = (post_id.uuid(), channel_id.uuid());
                let id = row_id(post_id, channel_id);
                let known = self.posts.get_mut(id).cloned();
                let lost = known.unwrap_or_else(|| PostRow {
                    id,
                    post_id,
                    channel_id,
                    organization_id: organization_id.uuid(),
                    published_at: None,
                    at,
                    counts: Counts::default(),
                    lost_at: None,
                });
                self.posts.put(PostRow { lost_at: Some(at), ..lost });
            }
        }
    }

    fn looked(&mut self, place: (i64, i32), event: ChannelFiguresEvent) {
        let ChannelFiguresEvent::Looked { organization_id, channel_id, account, missing, at } = event;
        let (id, organization_id) = (channel_id.uuid(), organization_id.uuid());
        let before = self.channels.get_mut(id).cloned();
        let mut row = before.clone().unwrap_or(ChannelRow {
            id,
            organization_id,
            looked_at: at,
            counted_at: None,
            followers: None,
            following: None,
            posts: None,
            missing: None,
            missing_reason: None,
            missing_since: None,
        });
        row.looked_at = at;
        let mut followers_change = None;
        if let Some(account) = account {
            let followers = account.followers.map(u64::cast_signed);
            followers_change = followers.zip(row.followers).map(|(now, before)| now - before);
            row.counted_at = Some(at);
            row.followers = followers;
            row.following = account.following.map(u64::cast_signed);
            row.posts = account.posts.map(u64::cast_signed);
        }
        let class = missing.as_ref().map(|missing| missing.class.as_str().to_string());
        if class != row.missing {
            row.missing_since = class.as_ref().map(|_| at);
        }
        let is_whole = missing.is_none();
        row.missing = class;
        row.missing_reason = missing.map(|missing| missing.reason);
        self.channels.put(row);
        self.looks.push(Look {
            place,
            channel_id: id,
            organization_id,
            at,
            is_whole,
            account: account.unwrap_or_default(),
            followers_change,
        });
    }

    pub(super) async fn store(self, tables: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.posts.store(tables).await?;
        self.channels.store(tables).await?;
        let mut copy = CopyIn::begin(tables, "figures_post_changes", CHANGE_COLUMNS).await?;
        for change in &self.changes {
            copy.row(|row| change.fill(row)).await?;
        }
        copy.finish().await?;
        let mut copy = CopyIn::begin(tables, "figures_channel_looks", LOOK_COLUMNS).await?;
        for look in &self.looks {
            copy.row(|row| look.fill(row)).await?;
        }
        copy.finish().await
    }
}

impl Counts {
    const ZERO: Self = Self {
        impressions: Some(0),
        likes: Some(0),
        comments: Some(0),
        shares: Some(0),
        clicks: Some(0),
        engagements: Some(0),
    };

    /// What changed since; absent where one of both is.
    fn since(self, before: Self) -> Self {
        let change =
            |now: Option<i64>, before: Option<i64>| now.zip(before).map(|(now, before)| now - before);
        let mut changed = Self {
            impressions: change(self.impressions, before.impressions),
            likes: change(self.likes, before.likes),
            comments: change(self.comments, before.comments),
            shares: change(self.shares, before.shares),
            clicks: change(self.clicks, before.clicks),
            engagements: None,
        };
        // Not the difference of the sums: a figure that a platform gives for the first time is no change.
        changed.engagements = changed.engaged();
        changed
    }

    fn engaged(&self) -> Option<i64> {
        [self.likes, self.comments, self.shares, self.clicks]
            .into_iter()
            .flatten()
            .reduce(i64::saturating_add)
    }

    fn fill(&self, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error> {
        row.value(self.impressions)?;
        row.value(self.likes)?;
        row.value(self.comments)?;
        row.value(self.shares)?;
        row.value(self.clicks)?;
        row.value(self.engagements)
    }
}

impl From<PostCounts> for Counts {
    fn from(counts: PostCounts) -> Self {
        // A platform that counts beyond that is wrong anyway.
        let signed = |count: Option<u64>| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        let mut counts = Self {
            impressions: signed(counts.impressions),
            likes: signed(counts.likes),
            comments: signed(counts.comments),
            shares: signed(counts.shares),
            clicks: signed(counts.clicks),
            engagements: None,
        };
        counts.engagements = counts.engaged();
        counts
    }
}

const CHANGE_COLUMNS: &[&str] = &[
    "position",
    "part",
    "post_id",
    "channel_id",
    "organization_id",
    "at",
    "impressions",
    "likes",
    "comments",
    "shares",
    "clicks",
    "engagements",
];

impl Change {
    fn fill(&self, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error> {
        row.value(self.place.0)?;
        row.value(self.place.1)?;
        row.value(self.post_id)?;
        row.value(self.channel_id)?;
        row.value(self.organization_id)?;
        row.value(self.at)?;
        self.counts.fill(row)
    }
}

const LOOK_COLUMNS: &[&str] = &[
    "position",
    "part",
    "channel_id",
    "organization_id",
    "at",
    "is_whole",
    "followers",
    "following",
    "posts",
    "followers_change",
];

impl Look {
    fn fill(&self, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error> {
        row.value(self.place.0)?;
        row.value(self.place.1)?;
        row.value(self.channel_id)?;
        row.value(self.organization_id)?;
        row.value(self.at)?;
        row.value(self.is_whole)?;
        row.value(self.account.followers.map(u64::cast_signed))?;
        row.value(self.account.following.map(u64::cast_signed))?;
        row.value(self.account.posts.map(u64::cast_signed))?;
        row.value(self.followers_change)
    }
}

impl TableRow for PostRow {
    const TABLE: &'static str = "figures_posts";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "post_id",
        "channel_id",
        "organization_id",
        "published_at",
        "at",
        "impressions",
        "likes",
        "comments",
        "shares",
        "clicks",
        "engagements",
        "lost_at",
    ];

    fn id(&self) -> Uuid {
        self.id
    }

    fn fill(&self, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error> {
        row.value(self.id)?;
        row.value(self.post_id)?;
        row.value(self.channel_id)?;
        row.value(self.organization_id)?;
        row.value(self.published_at)?;
        row.value(self.at)?;
        self.counts.fill(row)?;
        row.value(self.lost_at)
    }
}

impl TableRow for ChannelRow {
    const TABLE: &'static str = "figures_channels";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "organization_id",
        "looked_at",
        "counted_at",
        "followers",
        "following",
        "posts",
        "missing",
        "missing_reason",
        "missing_since",
    ];

    fn id(&self) -> Uuid {
        self.id
    }

    fn fill(&self, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error> {
        row.value(self.id)?;
        row.value(self.organization_id)?;
        row.value(self.looked_at)?;
        row.value(self.counted_at)?;
        row.value(self.followers)?;
        row.value(self.following)?;
        row.value(self.posts)?;
        row.value(self.missing.as_deref())?;
        row.value(self.missing_reason.as_deref())?;
        row.value(self.missing_since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(likes: Option<i64>, shares: Option<i64>) -> Counts {
        let mut counts = Counts { likes, shares, ..Counts::default() };
        counts.engagements = counts.engaged();
        counts
    }

    #[test]
    fn what_is_absent_before_or_after_has_no_change() {
        let changed = counts(Some(5), Some(7)).since(counts(Some(3), None));
        assert_eq!((changed.likes, changed.shares), (Some(2), None));
        assert_eq!(changed.engagements, Some(2), "shares that are given for the first time are no change");
        assert_eq!(counts(None, None).since(Counts::ZERO), Counts::default());
        assert_eq!(
            counts(Some(1), None).since(counts(Some(4), None)).likes,
            Some(-3),
            "likes are taken back"
        );
    }
}
