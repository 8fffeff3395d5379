//! One post: what it says, where it stands on each channel, what happened to it.

use actix_web::{HttpRequest, web};
use annals_domain::kernel::PostId;
use maud::{Markup, html};

use super::{
    frame::Frame,
    parts::{Tone, empty, number, pill, scrolling, shortened},
    timeline,
};
use crate::{
    http::{ApiResult, Caller, pages::PageSession},
    publishing::{
        history::{self, PostEventView},
        posts,
        views::{DeliveryView, MediaView, PostView},
    },
    state::AppState,
};

const HISTORY_MAX: u32 = 200;

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    id: web::Path<PostId>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let post = posts::get(&state, &caller, *id).await?;
    let (events, more) = history::events(&state, &caller, *id, 0, HISTORY_MAX).await?;
    let content = html! {
        div.heading {
            h1 { "Post" }
            p { (status_pill(post.status)) @if post.archived { " " (pill(Tone::Plain, "archived")) } }
        }
        div.pair {
            section.card {
                h2 { "What it says" }
                p.post-text { (post.content) }
                (attached(&post.media))
                @for part in &post.thread {
                    p.post-text { (part.content) }
                    (attached(&part.media))
                }
            }
            section.card { h2 { "About it" } (facts(&frame, &post)) }
        }
        section #channels .card data-live="5000" {
            h2 { "On each channel" }
            (deliveries(&frame, &post.integrations))
        }
        section.card {
            h2 { "History" }
            (table(&frame, &events))
            @if more.is_some() { p.quiet { "These are the first " (HISTORY_MAX) " events." } }
        }
    };
    Ok(frame.page(&format!("Post: {}", shortened(&post.content, 40)), content))
}

/// A part's media, by what they show.
fn attached(media: &[MediaView]) -> Markup {
    html! {
        @for (index, media) in media.iter().enumerate() {
            p.quiet { "Media " (index + 1) ": " (media.alt.as_deref().unwrap_or("without a description")) }
        }
    }
}

/// How a post or delivery stands.
pub(super) fn status_pill(status: &str) -> Markup {
    let tone = match status {
        "published" => Tone::Good,
        "publishing" => Tone::Busy,
        "scheduled" => Tone::Planned,
        "partly_published" | "unknown" => Tone::Warning,
        "failed" => Tone::Bad,
        _ => Tone::Plain,
    };
    pill(tone, status)
}

fn facts(frame: &Frame, post: &PostView) -> Markup {
    html! {
        dl.facts {
            @if let Some(at) = post.scheduled_at {
                dt { "Due" }
                dd {
                    (frame.time(at))
                    @if let Some(zone) = &post.timezone { span.quiet { " planned in " (zone) } }
                }
            }
            dt { "Author" } dd { (post.author.name.as_deref().unwrap_or("someone who left")) }
            @if !post.tags.is_empty() {
                dt { "Tags" }
                dd { @for tag in &post.tags { (pill(Tone::Plain, &tag.name)) " " } }
            }
            @if let Some(at) = post.created_at { dt { "Written" } dd { (frame.time(at)) } }
            @if let Some(at) = post.updated_at { dt { "Last changed" } dd { (frame.time(at)) } }
            dt { "Version" } dd { (number(post.version)) }
            dt { "Id" } dd { code { (post.id) } }
        }
    }
}

fn deliveries(frame: &Frame, deliveries: &[DeliveryView]) -> Markup {
    if deliveries.is_empty() {
        return empty("No channel is chosen", "A draft needs none; choose one when you schedule it.");
    }
    html! {
        (scrolling("Channels", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Channel" }
                        th scope="col" { "Status" }
                        th scope="col" { "Since" }
                        th.number scope="col" { "Attempts" }
                        th scope="col" { "What came of it" }
                    }
                }
                tbody {
                    @for delivery in deliveries {
                        tr {
                            th scope="row" {
                                (delivery.name.as_deref().unwrap_or("a channel that is gone"))
                                @if let Some(platform) = &delivery.platform { span.quiet { (platform) } }
                            }
                            td { (status_pill(delivery.status)) }
                            td { @if let Some(at) = delivery.at.or(delivery.due_at) { (frame.time(at)) } }
                            td.number { (delivery.attempts) }
                            td { (outcome(delivery)) }
                        }
                    }
                }
            }
        }))
    }
}

fn outcome(delivery: &DeliveryView) -> Markup {
    html! {
        @if let Some(url) = delivery.url.as_ref().filter(|url| url.starts_with("http")) {
            a href=(url) rel="noreferrer noopener" { "See it there" }
        }
        @if let Some(reason) = &delivery.reason { (reason) }
        @if let Some(what_to_do) = &delivery.what_to_do { span.quiet { (what_to_do) } }
    }
}

fn table(frame: &Frame, events: &[PostEventView]) -> Markup {
    html! {
        (scrolling("History", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "When" }
                        th scope="col" { "Who" }
                        th scope="col" { "What" }
                        th.number scope="col" { "Position" }
                    }
                }
                tbody {
                    @for event in events {
                        tr {
                            td { (frame.time(event.at)) }
                            td { (timeline::actor(&event.actor)) }
                            td { (timeline::what(&event.event_type)) }
                            td.number { (number(event.position)) }
                        }
                    }
                }
            }
        }))
    }
}
