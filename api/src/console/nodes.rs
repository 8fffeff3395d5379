//! Who works: the nodes that live, what each leads, and how far the process managers are.

use actix_web::{HttpRequest, web};
use maud::{Markup, html};

use super::{
    frame::Frame,
    parts::{Tone, number, pill, scrolling, seconds},
};
use crate::{
    http::{ApiResult, Caller, pages::PageSession},
    operations::{NodeView, ProcessView},
    state::AppState,
};

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let (nodes, processes) = (state.operations.nodes().await?, state.operations.processes().await?);
    let content = html! {
        div.heading { h1 { "Nodes" } }
        div #nodes data-live="3000" {
            section.card { h2 { "Alive" } (node_table(&frame, &nodes)) }
            section.card { h2 { "Process managers" } (process_table(&frame, &processes)) }
        }
    };
    Ok(frame.page("Nodes", content))
}

pub(super) fn node_table(frame: &Frame, nodes: &[NodeView]) -> Markup {
    html! {
        (scrolling("Nodes", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Host" }
                        th scope="col" { "Roles" }
                        th scope="col" { "Leads" }
                        th scope="col" { "Since" }
                        th scope="col" { "Seen" }
                    }
                }
                tbody {
                    @for node in nodes {
                        tr {
                            th scope="row" {
                                (node.host)
                                span.quiet { "process " (node.pid) ", version " (node.version) }
                            }
                            td { (node.roles.join(", ")) }
                            td.words {
                                (number(node.projections.len() as u64)) " read models"
                                span.quiet { (node.projections.join(", ")) }
                                @if !node.processes.is_empty() {
                                    span.quiet { "processes: " (node.processes.join(", ")) }
                                }
                            }
                            td { (frame.time(node.started_at)) }
                            td { (frame.time(node.last_seen_at)) }
                        }
                    }
                }
            }
        }))
    }
}

fn process_table(frame: &Frame, processes: &[ProcessView]) -> Markup {
    html! {
        (scrolling("Process managers", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Name" }
                        th.number scope="col" { "Reacted up to" }
                        th.number scope="col" { "Behind" }
                        th scope="col" { "Runs on" }
                        th scope="col" { "Moved last" }
                    }
                }
                tbody {
                    @for process in processes {
                        tr {
                            th scope="row" { (process.name) }
                            td.number { (number(process.position)) }
                            td.number {
                                (number(process.lag_events))
                                @if process.lag_events > 0 { span.quiet { (seconds(process.lag_seconds)) } }
                            }
                            td {
                                @match &process.leader {
                                    Some(leader) => { (leader.host) " " span.quiet { "process " (leader.pid) } },
                                    None => (pill(Tone::Warning, "nobody at this moment")),
                                }
                            }
                            td { (frame.time(process.moved_at)) }
                        }
                    }
                }
            }
        }))
    }
}
