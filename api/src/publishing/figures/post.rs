//! `GET /posts/{id}/statistics`.

use std::collections::BTreeMap;

use actix_web::web;
use annals_domain::{
    kernel::{IntegrationId, PostId},
    publishing::post::DeliveryState,
};
use annals_projections::publishing::{
    Channels, Figures as Model, Posts, channels,
    figures::{self, Changes, Scope},
    posts,
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    days::{self, Figures},
    engagement::FiguresQuery,
    span::Span,
    state::StateView,
    views::{CountsView, PostPointView, SpanView},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PostStatisticsView {
    pub id: Uuid,
    /// On all its channels, since it was published.
    pub totals: CountsView,
    pub integrations: Vec<PostOnChannelView>,
    pub period: SpanView,
    /// What changed in the period, on all its channels.
    pub series: Vec<PostPointView>,
}

/// A post on one channel, since it was published there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PostOnChannelView {
    /// The channel's.
    pub id: Uuid,
    pub platform: Option<String>,
    pub name: Option<String>,
    pub published_at: Option<DateTime<Utc>>,
    pub url: Option<String>,
    /// When something changed last.
    pub counted_at: Option<DateTime<Utc>>,
    pub state: StateView,
    pub totals: CountsView,
}

/// What platforms count of a post. Of a thread, its first part.
#[utoipa::path(
    get, path = "/posts/{id}/statistics", tag = "analytics", params(("id" = Uuid, Path), FiguresQuery),
    responses((status = 200, description = "Its figures", body = Success<PostStatisticsView>)),
)]
pub(in crate::publishing) async fn statistics(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<PostId>,
    Query(query): Query<FiguresQuery>,
) -> ApiResult {
    Answer::ok(of_post(&state, &caller, *id, &query).await?).respond()
}

/// A post of the caller's organization.
pub(crate) async fn of_post(
    state: &AppState,
    caller: &Caller,
    id: PostId,
    query: &FiguresQuery,
) -> Result<PostStatisticsView, ApiError> {
    let span = Span::of(state, caller, query.asked()).await?;
    state.reader_for::<Channels>(caller).await?;
    state.reader_for::<Model>(caller).await?;
    let pool = state.reader_for::<Posts>(caller).await?.pool();
    let organization = caller.organization_id;
    let post = posts::get(pool, organization, id).await?.ok_or_else(|| ApiError::not_found("post"))?.post;
    let wanted = query.integration.map(IntegrationId::new);
    let deliveries = post.deliveries().iter().filter(|(channel, _)| wanted.is_none_or(|id| id == **channel));
    let ids: Vec<IntegrationId> = deliveries.clone().map(|(channel, _)| *channel).collect();
    if wanted.is_some() && ids.is_empty() {
        return Err(ApiError::not_found("channel of this post"));
    }
    let names = channels::named(pool, organization, &ids).await?;
    let counted = figures::of_post(pool, organization, id).await?;
    let accounts = figures::of_channels(pool, organization, wanted).await?;
    let (mut totals, mut views, mut published) = (Sum::default(), Vec::new(), BTreeMap::new());
    for (channel_id, delivery) in deliveries {
        let figures = counted.iter().find(|post| post.channel_id == channel_id.uuid());
        let account = accounts.iter().find(|account| account.channel_id == channel_id.uuid());
        let followers = account.and_then(|account| account.followers);
        let first = delivery.standing.first();
        if let Some(standing) = first {
            let day = standing.at.with_timezone(&span.zone.tz()).date_naive();
            published.insert(channel_id.uuid(), day);
        }
        let changes = figures.map(|post| changes_of(post.counts)).unwrap_or_default();
        totals.add(changes, followers);
        let Some(channel) = names.get(channel_id) else { continue };
        let state_of = StateView::of_channel(&state.platforms, channel, account);
        let delivered = match &delivery.state {
            DeliveryState::Published { .. } => "published",
            other if first.is_none() => other.as_str(),
            // Of a thread, the first part stands.
            _ => "published",
        };
        views.push(PostOnChannelView {
            id: channel.id,
            platform: Some(channel.platform.clone()),
            name: Some(channel.name.clone()),
            published_at: first.map(|standing| standing.at),
            url: first.and_then(|standing| standing.url.clone()),
            counted_at: figures.map(|post| post.at),
            state: state_of.of_post(delivered, figures, &state.platforms, &channel.platform),
            totals: CountsView::of(changes, followers),
        });
    }
    let scope = Scope { organization, channel: wanted, post: Some(id) };
    let days: Vec<(NaiveDate, Figures)> = days::of_post(state, pool, scope, &span, &published).await?;
    Ok(PostStatisticsView {
        id: id.uuid(),
        totals: totals.view(),
        integrations: views,
        series: days::points(&days, &span).into_iter().map(PostPointView::from).collect(),
        period: SpanView::from(&span),
    })
}

/// Totals of several channels. The rate by followers is of those whose followers are known.
#[derive(Default)]
struct Sum {
    figures: Figures,
    followed: Option<(i64, i64)>,
}

impl Sum {
    fn add(&mut self, changes: Changes, followers: Option<i64>) {
        self.figures = self.figures.then(Figures { changes, ..Figures::default() });
        if let Some((engagements, followers)) = changes.counts.engagements.zip(followers) {
            let (sum, all) = self.followed.unwrap_or_default();
            self.followed = Some((sum + engagements, all + followers));
        }
    }

    fn view(&self) -> CountsView {
        let mut followed = self.figures.changes;
        followed.counts.engagements = self.followed.map(|(engagements, _)| engagements);
        let by_followers = CountsView::of(followed, self.followed.map(|(_, followers)| followers));
        CountsView {
            engagement_rate_by_followers: by_followers.engagement_rate_by_followers,
            ..CountsView::of(self.figures.changes, None)
        }
    }
}

/// A total, as the change from nothing.
pub(super) fn changes_of(counts: figures::Counts) -> Changes {
    Changes { counts, shown_engagements: counts.engagements.filter(|_| counts.impressions.is_some()) }
}
