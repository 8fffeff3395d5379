//! Every organization with its tier and what it has of it, for the operator.

use actix_web::{HttpRequest, web};
use annals_commands::{identity::SetTier, tiers::Tiers};
use annals_domain::kernel::{Month, OrganizationId, Quota};
use annals_projections::identity::Usage;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    frame::{Frame, done},
    parts::{Tone, empty, form_fields, number, pill, query_pair, scrolling},
    projections::reason,
};
use crate::{
    http::{
        ApiError, ApiResult, Caller, Query,
        pages::{Form, PageSession},
    },
    operations::organizations::listing,
    state::AppState,
    tiers::usage::{self, Listing, OrganizationUsage, QuotaUse},
};

const ORGANIZATIONS: &str = "/console/organizations";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganizationsQuery {
    /// A part of the name, or the id.
    q: Option<String>,
    tier: Option<String>,
    /// From 1.
    page: Option<u64>,
}

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    Query(query): Query<OrganizationsQuery>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let listing = listing(&state, query.q.as_deref(), query.tier.as_deref(), query.page, None)?;
    let reader = state.reader_for::<Usage>(&caller).await?;
    let tiers = state.bus.tiers();
    let (organizations, total) = usage::list(reader, tiers, &listing, &Month::of(frame.now)).await?;
    let may_act = caller.may("system", "manage");
    let content = html! {
        div.heading {
            h1 { "Organizations" }
            p.quiet { (number(total)) @if total == 1 { " organization" } @else { " organizations" } }
        }
        section.card { (search(&listing, tiers)) }
        section #organizations .card {
            @if organizations.is_empty() {
                (empty("No organization is like that", "Search for a part of the name, or for the id."))
            } @else {
                (table(&frame, tiers, &organizations, may_act))
            }
            (pages(&listing, total))
        }
    };
    Ok(frame.page("Organizations", content))
}

/// Sets an organization's tier.
pub(super) async fn set_tier(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
    form: Form,
) -> ApiResult {
    let tier = form.text("tier").to_string();
    let set = SetTier { organization_id: *id, tier, reason: reason(&form)?, by: Some(caller.user_id) };
    let set = state.identity.set_tier(&caller.context, set).await.map_err(ApiError::from)?;
    let words = format!("The tier is now {}, from this moment on.", set.value);
    Ok(done(ORGANIZATIONS, &words, set.position))
}

fn search(listing: &Listing, tiers: &Tiers) -> Markup {
    let chosen = listing.tier.as_ref();
    html! {
        form.row method="get" action=(ORGANIZATIONS) {
            div {
                label for="organizations-search" { "Name or id" }
                input #organizations-search type="search" name="q" maxlength="100"
                    value=(listing.search.as_deref().unwrap_or_default());
            }
            div {
                label for="organizations-tier" { "Tier" }
                select #organizations-tier name="tier" {
                    option value="" selected[chosen.is_none()] { "any" }
                    @for tier in tiers.all() {
                        option value=(tier.name) selected[chosen == Some(&tier.name)] { (tier.title) }
                    }
                }
            }
            button type="submit" { "Search" }
        }
    }
}

fn table(frame: &Frame, tiers: &Tiers, organizations: &[OrganizationUsage], may_act: bool) -> Markup {
    html! {
        (scrolling("Organizations", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Name" }
                        th scope="col" { "Tier" }
                        th.number scope="col" { "Channels" }
                        th.number scope="col" { "Posts this month" }
                        th.number scope="col" { "Members" }
                        th.number scope="col" { "Media" }
                        th.number scope="col" { "API keys" }
                        @if may_act { th.actions scope="col" { "Change" } }
                    }
                }
                tbody {
                    @for one in organizations {
                        tr {
                            th scope="row" { (one.name) span.quiet { code { (one.id) } } }
                            td { (tier(frame, one)) }
                            @for quota in Quota::ALL {
                                td.number { @if let Some(used) = found(one, quota) { (use_of(quota, used)) } }
                            }
                            @if may_act { td.actions { (actions(frame, tiers, one)) } }
                        }
                    }
                }
            }
        }))
    }
}

fn tier(frame: &Frame, one: &OrganizationUsage) -> Markup {
    html! {
        (pill(Tone::Plain, &one.tier.title))
        @if one.tier.is_default { span.quiet { "the default" } }
        @if let Some(at) = one.tier.set_at { span.quiet { "since " (frame.time(at)) } }
        @if let Some(reason) = &one.tier.reason { span.quiet { (reason) } }
    }
}

fn found(one: &OrganizationUsage, quota: Quota) -> Option<&QuotaUse> {
    one.quotas.iter().find(|found| found.name == quota.as_str())
}

fn use_of(quota: Quota, found: &QuotaUse) -> Markup {
    let words = |amount| if quota == Quota::MediaBytes { bytes(amount) } else { number(amount) };
    let Some(limit) = found.limit else { return html! { (words(found.used)) } };
    html! {
        (words(found.used)) " of " (words(limit))
        @if found.used >= limit { " " (pill(Tone::Warning, "full")) }
    }
}

/// As people say it: `1.5 GB`.
fn bytes(amount: u64) -> String {
    let units = [(1_u64 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    match units.into_iter().find(|(unit, _)| amount >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", amount as f64 / unit as f64),
        None => format!("{amount} B"),
    }
}

fn actions(frame: &Frame, tiers: &Tiers, one: &OrganizationUsage) -> Markup {
    let (tier_field, reason_field) = (format!("tier-{}", one.id), format!("reason-{}", one.id));
    html! {
        details.act {
            summary { "Set tier" span.visually-hidden { " of " (one.name) } }
            form.stack method="post" action={ (ORGANIZATIONS) "/" (one.id) "/tier" } {
                (form_fields(frame))
                label for=(tier_field) { "Tier" }
                select id=(tier_field) name="tier" {
                    @for tier in tiers.all() {
                        option value=(tier.name) selected[tier.name.as_str() == one.tier.name] { (tier.title) }
                    }
                }
                label for=(reason_field) { "Why" }
                input id=(reason_field) name="reason" required autocomplete="off";
                button.primary type="submit" { "Set the tier" }
            }
        }
    }
}

fn pages(listing: &Listing, total: u64) -> Markup {
    let address = |page: u64| {
        let search = listing.search.as_deref().map(|search| query_pair("q", search));
        let tier = listing.tier.as_ref().map(|tier| query_pair("tier", tier.as_str()));
        let page = query_pair("page", &page.to_string());
        let pairs: Vec<String> = search.into_iter().chain(tier).chain([page]).collect();
        format!("{ORGANIZATIONS}?{}", pairs.join("&"))
    };
    let has_more = listing.page.saturating_mul(listing.per_page) < total;
    html! {
        @if listing.page > 1 || has_more {
            nav.ways aria-label="Pages of organizations" {
                @if listing.page > 1 { a.button href=(address(listing.page - 1)) { "← Before" } }
                @if has_more { a.button href=(address(listing.page + 1)) { "After →" } }
            }
        }
    }
}
