//! What a post's author may want to know: it says what another says, or comes close upon another.
//!
//! Nothing is refused for it. Warnings are looked for at the edge, after the command, in the read model.

use std::time::Duration;

use annals_domain::{
    kernel::{IntegrationId, PostId},
    publishing::{Post, post::Composition},
};
use annals_projections::publishing::{
    Posts,
    posts::{Neighbour, Own, Placement, close_by, likeness, saying_the_same},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{ApiError, Caller},
    state::AppState,
};

/// How long a command that has had its effect waits for them.
const WAITED_FOR: Duration = Duration::from_secs(2);

/// So long before and after, a text is one that readers have just seen.
const SAME_WITHIN: TimeDelta = TimeDelta::days(30);
/// Less than so long apart, two posts of a channel take each other's readers.
const BUSY_WITHIN: TimeDelta = TimeDelta::hours(1);

/// Something to know before it is published; it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WarningView {
    /// `DUPLICATE_CONTENT` or `BUSY_HOUR`.
    pub code: &'static str,
    pub message: &'static str,
    /// What it is about, by the names of the body: `integrations[0]`.
    pub field: String,
    /// The channel's id.
    pub channel: Uuid,
    /// The other posts, at most five.
    pub posts: Vec<Uuid>,
}

/// A post that is or would be written.
pub(crate) struct Written<'p> {
    pub(crate) composition: &'p Composition,
    /// When it is due or meant for.
    pub(crate) at: Option<DateTime<Utc>>,
    pub(crate) own: Own,
}

impl<'p> Written<'p> {
    pub(crate) fn of(id: PostId, post: &'p Post) -> Self {
        Self {
            composition: post.composition(),
            at: post.schedule().map(|schedule| schedule.at),
            own: Own { post: Some(id), series: post.occurrence().map(|occurrence| occurrence.series_id) },
        }
    }

    /// Where it goes. A post without a time is compared as if it were due now.
    pub(crate) fn placements(&self, now: DateTime<Utc>) -> Vec<Placement> {
        let at = self.at.unwrap_or(now);
        let place = |channel: IntegrationId| {
            let parts = self.composition.parts_for(channel).unwrap_or_default();
            Placement { channel, likeness: likeness(&parts), at }
        };
        self.composition.channels().into_iter().map(place).collect()
    }
}

/// What there is to know of each of these posts.
///
/// # Errors
/// If the read model can't be read.
pub(crate) async fn of_each(
    state: &AppState,
    caller: &Caller,
    posts: &[&Written<'_>],
    own: Own,
) -> Result<Vec<Vec<WarningView>>, ApiError> {
    let now = state.bus.now();
    let mut all = vec![Vec::new(); posts.len()];
    let mut places = Vec::new();
    for (post, written) in posts.iter().enumerate() {
        let of_post = written.placements(now).into_iter().enumerate();
        places.extend(of_post.map(|(nth, placement)| Place { post, nth, placement, at: written.at }));
    }
    if places.is_empty() {
        return Ok(all);
    }
    let pool = state.reader_for::<Posts>(caller).await?.pool();
    let organization = caller.organization_id;
    let placements: Vec<Placement> = places.iter().map(|place| place.placement).collect();
    let same = saying_the_same(pool, organization, &placements, own, SAME_WITHIN).await?;
    places_told(&mut all, &places, &same, &DUPLICATE);
    let timed: Vec<Place> = places.into_iter().filter(|place| place.at.is_some()).collect();
    let placements: Vec<Placement> = timed.iter().map(|place| place.placement).collect();
    let busy = close_by(pool, organization, &placements, own, BUSY_WITHIN).await?;
    places_told(&mut all, &timed, &busy, &BUSY);
    Ok(all)
}

/// Of which post a placement is, and which of its channels.
struct Place {
    post: usize,
    nth: usize,
    placement: Placement,
    at: Option<DateTime<Utc>>,
}

fn places_told(all: &mut [Vec<WarningView>], places: &[Place], neighbours: &[Neighbour], kind: &Kind) {
    for of_one in neighbours.chunk_by(|one, other| one.placement() == other.placement()) {
        let place = of_one.first().and_then(|neighbour| places.get(neighbour.placement()));
        if let Some(Place { post, nth, placement, .. }) = place {
            let posts = of_one.iter().map(|neighbour| neighbour.post_id).collect();
            all[*post].push(kind.warning(*nth, placement.channel.uuid(), posts));
        }
    }
}

/// What there is to know of a post.
///
/// # Errors
/// If the read model can't be read.
pub(crate) async fn of(
    state: &AppState,
    caller: &Caller,
    written: &Written<'_>,
) -> Result<Vec<WarningView>, ApiError> {
    let mut all = of_each(state, caller, &[written], written.own).await?;
    Ok(all.pop().unwrap_or_default())
}

/// The same for a command's answer, which does not fail for it and is not held up: none if they could not be
/// looked for soon.
pub(crate) async fn if_known(
    state: &AppState,
    caller: &Caller,
    written: &Written<'_>,
) -> Option<Vec<WarningView>> {
    let Ok(found) = tokio::time::timeout(WAITED_FOR, of(state, caller, written)).await else {
        tracing::warn!("warnings of a post were not waited for: the posts' read model is behind");
        return None;
    };
    found.inspect_err(|error| tracing::warn!(%error, "warnings of a post could not be looked for")).ok()
}

/// A kind of warning.
struct Kind {
    code: &'static str,
    message: &'static str,
}

const DUPLICATE: Kind =
    Kind { code: "DUPLICATE_CONTENT", message: "another post says the same on this channel within 30 days" };
const BUSY: Kind =
    Kind { code: "BUSY_HOUR", message: "another post of this channel is less than an hour away" };

impl Kind {
    /// On the post's `nth` channel.
    fn warning(&self, nth: usize, channel: Uuid, posts: Vec<Uuid>) -> WarningView {
        let (code, message) = (self.code, self.message);
        WarningView { code, message, field: format!("integrations[{nth}]"), channel, posts }
    }
}

impl WarningView {
    /// Another row of the same file says the same on this channel.
    pub(super) fn of_the_same_file(nth: usize, channel: Uuid) -> Self {
        DUPLICATE.warning(nth, channel, Vec::new())
    }
}
