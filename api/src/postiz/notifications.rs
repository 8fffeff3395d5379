//! What the key's creator was told.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    engagement::notifications::{NotificationView, NotificationsQuery, page},
    http::{ApiError, ApiResult, Caller},
    state::AppState,
};

const LIMIT: u64 = 20;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// From 0, as Postiz counts.
    page: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationPage {
    notifications: Vec<Entry>,
    total: u64,
    page: u64,
    limit: u64,
    has_more: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: Uuid,
    content: String,
    /// Where to look at it; none where there is no page for it.
    link: Option<String>,
    created_at: DateTime<Utc>,
}

/// What the key's creator was told, the newest first.
#[utoipa::path(
    get, path = "/public/v1/notifications", tag = "postiz", params(PageQuery),
    responses((status = 200, description = "A page of them", body = NotificationPage)),
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    query: web::Query<PageQuery>,
) -> ApiResult {
    let asked = query.page.as_deref().filter(|page| !page.is_empty()).unwrap_or("0");
    let number: u64 = asked.parse().map_err(|_| ApiError::field("page", "must be a number from 0"))?;
    let query =
        NotificationsQuery { page: Some(number.saturating_add(1)), per_page: Some(LIMIT), unread: None };
    let (notifications, page) = page(&state, &caller, &query).await?;
    let base = state.config.public_url.as_str().trim_end_matches('/').to_string();
    Ok(HttpResponse::Ok().json(NotificationPage {
        notifications: notifications.into_iter().map(|notification| entry(notification, &base)).collect(),
        total: page.total,
        page: number,
        limit: LIMIT,
        has_more: page.page < page.total_pages,
    }))
}

fn entry(notification: NotificationView, base: &str) -> Entry {
    let NotificationView { id, title, text, at, links, .. } = notification;
    let link = links.page.map(|page| format!("{base}{page}"));
    Entry { id, content: format!("{title}: {text}"), link, created_at: at }
}
