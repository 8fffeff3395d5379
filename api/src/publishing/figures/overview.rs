//! The part of `GET /analytics/overview` that platforms count.

use annals_projections::publishing::{Channels, Figures as Model, channels, figures};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    channel::AccountView,
    engagement::{EngagementView, trends},
    span::Span,
    state::StateView,
};
use crate::{
    http::{ApiError, Caller},
    state::AppState,
};

/// What platforms count, of all channels together and of each account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OverviewFigures {
    pub integrations: Vec<ChannelFiguresView>,
    #[serde(flatten)]
    pub trends: EngagementView,
}

/// A channel's account, as its platform counted last.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelFiguresView {
    pub id: Uuid,
    pub platform: String,
    pub name: String,
    pub state: StateView,
    pub account: AccountView,
}

/// All channels of the caller's organization.
pub(crate) async fn of_organization(
    state: &AppState,
    caller: &Caller,
    span: &Span,
) -> Result<OverviewFigures, ApiError> {
    state.reader_for::<Channels>(caller).await?;
    let pool = state.reader_for::<Model>(caller).await?.pool();
    let accounts = figures::of_channels(pool, caller.organization_id, None).await?;
    let view = |channel: channels::Channel| {
        let account = accounts.iter().find(|account| account.channel_id == channel.id);
        ChannelFiguresView {
            state: StateView::of_channel(&state.platforms, &channel, account),
            account: account.map_or_else(AccountView::default, |account| AccountView {
                followers: account.followers,
                following: account.following,
                posts: account.posts,
            }),
            id: channel.id,
            platform: channel.platform,
            name: channel.name,
        }
    };
    let channels = channels::list(pool, caller.organization_id).await?;
    Ok(OverviewFigures {
        integrations: channels.into_iter().map(view).collect(),
        trends: trends(state, caller, span, None).await?,
    })
}
