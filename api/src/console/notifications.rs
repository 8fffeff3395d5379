//! What the reader was told, what they read of it, and by which ways they want to be told.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpRequest, web};
use annals_commands::engagement::{Words, sentence};
use annals_domain::{
    engagement::{Mark, NotificationKind, WaysChange},
    kernel::NotificationId,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    frame::{Frame, done},
    parts::{Tone, empty, form_fields, number, pill, scrolling},
};
use crate::{
    engagement::{
        notifications::{self, NotificationView, NotificationsQuery},
        preferences::{self, WaysView},
    },
    http::{
        ApiError, ApiResult, Caller, Page, Query,
        pages::{Form, PageSession},
    },
    state::AppState,
};

pub(super) const NOTIFICATIONS: &str = "/console/notifications";
const PER_PAGE: u64 = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    unread: Option<bool>,
    page: Option<u64>,
}

/// The bell of every page. Its words say the number: the badge only repeats it.
pub(super) fn bell(unread: u64) -> Markup {
    let label = match unread {
        0 => "Notifications, none unread".to_string(),
        1 => "Notifications, 1 unread".to_string(),
        unread => format!("Notifications, {} unread", number(unread)),
    };
    html! {
        div #bell data-live="20000" {
            a.bell href=(NOTIFICATIONS) aria-label=(label) title=(label) {
                svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" focusable="false" {
                    path d="M12 3a6 6 0 0 0-6 6v4l-2 4h16l-2-4V9a6 6 0 0 0-6-6zm-2 16a2 2 0 0 0 4 0z"
                        fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round" {}
                }
                @if unread > 0 {
                    span.badge aria-hidden="true" { @if unread > 99 { "99+" } @else { (unread) } }
                }
            }
        }
    }
}

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    Query(query): Query<PageQuery>,
) -> ApiResult {
    let only_unread = query.unread.unwrap_or(false);
    let asked = NotificationsQuery { unread: Some(only_unread), page: query.page, per_page: Some(PER_PAGE) };
    let (list, page) = notifications::page(&state, &caller, &asked).await?;
    let unread = notifications::count_unread(&state, &caller).await?;
    let ways = preferences::current(&state, &caller).await?;
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let content = html! {
        div.heading {
            h1 { "Notifications" }
            p.quiet { "What you were told in this organization. The newest thousand are kept." }
        }
        section.card {
            div.heading {
                h2 { @if only_unread { "Unread" } @else { "All" } }
                p { @if unread > 0 { (pill(Tone::Busy, &format!("{} unread", number(unread)))) } }
            }
            div.row {
                @if only_unread { a.button href=(NOTIFICATIONS) { "Show all" } }
                @else { a.button href={ (NOTIFICATIONS) "?unread=true" } { "Show unread only" } }
                (read_all_form(&frame, unread, &list))
            }
            (entries(&frame, &list, only_unread))
            (pager(page, only_unread))
        }
        section.card { h2 { "What you want to be told" } (preferences_form(&frame, &ways)) }
    };
    Ok(frame.page("Notifications", content))
}

/// What arrives while this page is read stays unread.
fn read_all_form(frame: &Frame, unread: u64, list: &[NotificationView]) -> Markup {
    html! {
        @if let Some(newest) = list.first().filter(|_| unread > 0) {
            form.inline method="post" action={ (NOTIFICATIONS) "/read-all" } {
                (form_fields(frame))
                input type="hidden" name="up_to" value=(newest.position);
                button type="submit" { "Mark all as read" }
            }
        }
    }
}

fn entries(frame: &Frame, list: &[NotificationView], only_unread: bool) -> Markup {
    if list.is_empty() {
        let title = if only_unread { "You have read everything" } else { "Nothing yet" };
        return empty(
            title,
            "When something needs you, such as a post that was not published, it stands here.",
        );
    }
    html! {
        ul.notifications {
            @for entry in list {
                li.unread[!entry.is_read] {
                    div.heading {
                        h3 {
                            @match &entry.links.page {
                                Some(page) => a href=(page) { (entry.title) },
                                None => (entry.title),
                            }
                            @if !entry.is_read { " " (pill(Tone::Busy, "unread")) }
                        }
                        p.quiet { (frame.time(entry.at)) }
                    }
                    p { (entry.text) }
                    @if let Some(due) = entry.about.due_at { p { "It was due " (frame.time(due)) "." } }
                    @if let Some(what_to_do) = &entry.what_to_do {
                        p { strong { "What to do: " } (sentence(what_to_do)) }
                    }
                    (mark_form(frame, entry))
                }
            }
        }
    }
}

fn mark_form(frame: &Frame, entry: &NotificationView) -> Markup {
    let (way, words) = if entry.is_read { ("unread", "Mark as unread") } else { ("read", "Mark as read") };
    html! {
        form.inline method="post" action={ (NOTIFICATIONS) "/" (entry.id) "/" (way) } {
            (form_fields(frame))
            button type="submit" aria-label={ (words) ": " (entry.title) } { (words) }
        }
    }
}

fn pager(page: Page, only_unread: bool) -> Markup {
    let address = |number: u64| {
        let unread = if only_unread { "&unread=true" } else { "" };
        format!("{NOTIFICATIONS}?page={number}{unread}")
    };
    html! {
        @if page.total_pages > 1 {
            nav.row aria-label="Pages of notifications" {
                @if page.page > 1 { a.button href=(address(page.page - 1)) { "Newer" } }
                span.quiet { "Page " (number(page.page)) " of " (number(page.total_pages)) }
                @if page.page < page.total_pages { a.button href=(address(page.page + 1)) { "Older" } }
            }
        }
    }
}

fn preferences_form(frame: &Frame, ways: &BTreeMap<NotificationKind, WaysView>) -> Markup {
    html! {
        form.stack method="post" action={ (NOTIFICATIONS) "/preferences" } {
            (form_fields(frame))
            (scrolling("What you want to be told", &html! {
                table {
                    thead {
                        tr {
                            th scope="col" { "What" }
                            th scope="col" { "In the app" }
                            th scope="col" { "By mail" }
                        }
                    }
                    tbody {
                        @for (kind, ways) in ways {
                            @let about = Words::about(*kind);
                            tr {
                                th scope="row" { (about) }
                                td {
                                    input type="checkbox" name="in_app" value=(kind) checked[ways.in_app]
                                        aria-label={ (about) ", in the app" };
                                }
                                td {
                                    input type="checkbox" name="email" value=(kind) checked[ways.email]
                                        aria-label={ (about) ", by mail" };
                                }
                            }
                        }
                    }
                }
            }))
            div { button.primary type="submit" { "Keep these wishes" } }
        }
    }
}

pub(super) async fn mark_read(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<NotificationId>,
) -> ApiResult {
    let position = notifications::mark_one(&state, &caller, *id, Mark::Read).await?;
    Ok(done(NOTIFICATIONS, "Marked as read.", position))
}

pub(super) async fn mark_unread(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<NotificationId>,
) -> ApiResult {
    let position = notifications::mark_one(&state, &caller, *id, Mark::Unread).await?;
    Ok(done(NOTIFICATIONS, "Marked as unread.", position))
}

pub(super) async fn read_all(state: web::Data<AppState>, caller: Caller, form: Form) -> ApiResult {
    let up_to = form.text("up_to").parse().ok();
    let up_to = up_to.ok_or_else(|| ApiError::field("up_to", "must be the position of a notification"))?;
    let position = notifications::read_up_to(&state, &caller, Some(up_to)).await?;
    Ok(done(NOTIFICATIONS, "All that stood here is read.", position))
}

/// A form has all kinds: what is not ticked is off.
pub(super) async fn prefer(state: web::Data<AppState>, caller: Caller, form: Form) -> ApiResult {
    let chosen = |way: &'static str| form.all(way).map(str::to_string).collect::<BTreeSet<_>>();
    let (in_app, email) = (chosen("in_app"), chosen("email"));
    let change = |kind: NotificationKind| {
        let has = |kinds: &BTreeSet<String>| Some(kinds.contains(kind.as_str()));
        (kind, WaysChange { in_app: has(&in_app), email: has(&email) })
    };
    let changes = NotificationKind::ALL.into_iter().map(change).collect();
    let position = preferences::prefer(&state, &caller, changes).await?;
    Ok(done(NOTIFICATIONS, "Your wishes are kept.", position))
}
