//! `/posts/tags`.

use actix_web::web;
use annals_domain::{
    kernel::TagId,
    publishing::{
        TagBook,
        tags::{Color, TagName},
    },
};
use annals_projections::publishing::{Tags, tags};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{failed, posts::commands, views::TagView};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct TagBody {
    /// 1 to 40 characters.
    pub name: String,
    /// `#rrggbb`; grey if it is left out.
    pub color: Option<String>,
}

/// Makes a tag.
#[utoipa::path(
    post, path = "/posts/tags", tag = "posts", request_body = TagBody,
    responses((status = 201, description = "The tag", body = Success<TagView>)),
)]
pub(super) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<TagBody>,
) -> ApiResult {
    let name = TagName::parse(&body.name).map_err(|why| ApiError::field("name", why))?;
    let color = body.color.as_deref().map(Color::parse).transpose();
    let color = color.map_err(|why| ApiError::field("color", why))?.unwrap_or_default();
    let organization = caller.organization_id;
    let outcome =
        commands(&state).create_tag(&caller.context, organization, name, color).await.map_err(failed)?;
    let book = state.bus.load::<TagBook>(organization).await?.state;
    let tag = outcome.value.and_then(|id: TagId| book.get(id));
    let tag = tag.ok_or_else(|| ApiError::not_found("tag"))?;
    let view = TagView {
        id: tag.id.uuid(),
        name: tag.name.as_str().to_string(),
        color: tag.color.as_str().to_string(),
    };
    Answer::created(view).position(outcome.receipt.position).respond()
}

/// The organization's tags, by name.
#[utoipa::path(
    get, path = "/posts/tags", tag = "posts",
    responses((status = 200, description = "By name", body = Success<Vec<TagView>>)),
)]
pub(super) async fn list(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let reader = state.reader_for::<Tags>(&caller).await?;
    let tags = tags::list(reader.pool(), caller.organization_id).await?;
    Answer::ok(tags.into_iter().map(TagView::from).collect::<Vec<_>>()).respond()
}
