//! What platforms count: `/posts/{id}/statistics` and `/analytics/…`.
//!
//! Every answer is by days of a zone, in a period that is compared with the one before it. What nobody knows
//! is null, which is not zero; see `docs/figures.md`.

mod channel;
mod days;
mod engagement;
mod overview;
mod post;
mod ranking;
mod span;
mod state;
mod views;

pub(crate) use channel::{PeriodQuery, of_channel};
pub(crate) use engagement::{FiguresQuery, trends};
pub(crate) use overview::{ChannelFiguresView, OverviewFigures, of_organization};
pub(crate) use post::of_post;
pub(crate) use ranking::{RankedView, RankingQueryInput, best};
pub(crate) use span::{Asked, Granularity, Span};
pub(crate) use views::{ComparedCount, CountsView, PointView, TotalsView};

pub(super) use channel::{__path_integration, integration};
pub(super) use engagement::{__path_engagement, engagement};
pub(super) use post::{__path_statistics, statistics};
pub(super) use ranking::{__path_posts, posts};
