//! What stands around a page's content: head, navigation, who is signed in, what was just done.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration as CookieDuration},
    http::{StatusCode, header},
};
use annals_domain::identity::{Organization, User};
use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;
use maud::{DOCTYPE, Markup, html};

use super::{assets, notifications, parts, theme::Theme};
use crate::{
    engagement,
    http::{
        ApiError, Caller,
        answer::POSITION_HEADER,
        pages::{PREFIX, PageSession},
    },
    state::AppState,
};

/// Everything comes from here, nothing is inline, no other page frames this one.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What was just done, for the page that follows.
const NOTICE_COOKIE: &str = "annals_notice";
const NOTICE_CHARS_MAX: usize = 300;

/// A page of the navigation, for those with the right.
struct Place {
    path: &'static str,
    name: &'static str,
    right: (&'static str, &'static str),
}

const fn place(path: &'static str, name: &'static str, right: (&'static str, &'static str)) -> Place {
    Place { path, name, right }
}

const PLACES: [Place; 11] = [
    place(PREFIX, "Overview", ("activity", "read")),
    place("/console/posts", "Calendar", ("post", "read")),
    place("/console/figures", "Figures", ("analytics", "read")),
    place("/console/events", "Events", ("history", "read")),
    place("/console/audit", "Audit", ("audit", "read")),
    place("/console/people", "People", ("member", "read")),
    place("/console/keys", "API keys", ("api-key", "read")),
    place("/console/projections", "Read models", ("system", "read")),
    place("/console/timers", "Timers", ("system", "read")),
    place("/console/nodes", "Nodes", ("system", "read")),
    place("/console/organizations", "Organizations", ("system", "read")),
];

/// Of one request: who looks, from where in the world, at which page.
pub(super) struct Frame {
    pub(super) zone: Tz,
    pub(super) now: DateTime<Utc>,
    pub(super) form_token: String,
    person: String,
    organization: Option<String>,
    role: String,
    theme: Theme,
    /// With its query: where choosing a theme comes back to.
    address: String,
    path: String,
    notice: Option<String>,
    places: Vec<&'static Place>,
    /// Notifications that are not read; none if they can't be read or counted now.
    unread: Option<u64>,
}

impl Frame {
    /// # Errors
    /// If the log can't be read.
    pub(super) async fn open(
        state: &AppState,
        caller: &Caller,
        session: &PageSession,
        request: &HttpRequest,
    ) -> Result<Self, ApiError> {
        let user = state.bus.load::<User>(caller.user_id).await?.state;
        let organization = match caller.is_member {
            true => {
                let loaded = state.bus.load::<Organization>(caller.organization_id).await?;
                Some(loaded.state.settings.name.as_str().to_string())
            }
            false => None,
        };
        let role = match (caller.is_member, caller.is_operator) {
            (true, true) => format!("{}, operator", caller.role),
            (true, false) => caller.role.to_string(),
            (false, _) => "operator".to_string(),
        };
        let unread = match caller.is_member && caller.may("notification", "read") {
            // A page is not refused because a number is missing.
            true => engagement::notifications::count_unread(state, caller).await.ok(),
            false => None,
        };
        Ok(Self {
            zone: user.settings().timezone.as_str().parse().unwrap_or(Tz::UTC),
            now: state.clock.now(),
            form_token: session.form_token.clone(),
            person: user.profile().name.as_str().to_string(),
            organization,
            role,
            theme: Theme::of(request),
            address: request.uri().path_and_query().map_or(PREFIX, |path| path.as_str()).to_string(),
            path: request.path().to_string(),
            notice: request.cookie(NOTICE_COOKIE).and_then(|cookie| notice_words(cookie.value())),
            unread,
            places: PLACES.iter().filter(|place| caller.may(place.right.0, place.right.1)).collect(),
        })
    }

    /// A moment as this person's clock and calendar show it.
    pub(super) fn time(&self, at: DateTime<Utc>) -> Markup {
        let (local, now) = (at.with_timezone(&self.zone), self.now.with_timezone(&self.zone));
        let format = if local.date_naive() == now.date_naive() {
            "today %H:%M:%S"
        } else if local.year() == now.year() {
            "%-d %b, %H:%M"
        } else {
            "%-d %b %Y, %H:%M"
        };
        parts::time(at, self.zone, format)
    }

    /// The page, whole.
    pub(super) fn page(&self, title: &str, content: Markup) -> HttpResponse {
        self.page_with(StatusCode::OK, title, content)
    }

    /// The same with another status: a form that is to be corrected.
    pub(super) fn page_with(&self, status: StatusCode, title: &str, content: Markup) -> HttpResponse {
        let body = html! {
            header.top {
                a.wordmark href=(PREFIX) { "Annals" }
                details.menu {
                    summary { "Menu" }
                    (self.navigation("Menu"))
                }
                div.who {
                    @if let Some(unread) = self.unread { (notifications::bell(unread)) }
                    div.names {
                        a href={ (PREFIX) "/account" } aria-label={ "Your account, " (self.person) } { (self.person) }
                        span.quiet {
                            @if let Some(organization) = &self.organization { (organization) " · " }
                            (self.role)
                        }
                    }
                    (theme_form(self.theme, &self.address))
                    form method="post" action={ (PREFIX) "/sign-out" } {
                        (parts::form_fields(self))
                        button.plain type="submit" { "Sign out" }
                    }
                }
            }
            div.columns {
                div.side { (self.navigation("Pages")) }
                main #content tabindex="-1" {
                    // What changes by itself is told here.
                    p #live-status .visually-hidden role="status" {}
                    @if let Some(words) = &self.notice { p.notice.good role="status" { (words) } }
                    (content)
                }
            }
            footer {
                p { "Times are of " strong { (self.zone.name()) } "; hover over one for the exact UTC." }
            }
        };
        let mut response = respond(status, document(self.theme, title, body));
        if self.notice.is_some()
            && let Err(error) = response.add_cookie(&notice_cookie("", CookieDuration::ZERO))
        {
            // It is shown once more: not worth a failure.
            tracing::debug!(%error, "a notice could not be cleared");
        }
        response
    }

    fn navigation(&self, label: &str) -> Markup {
        html! {
            nav aria-label=(label) {
                ul {
                    @for place in &self.places {
                        li {
                            a href=(place.path) aria-current=[self.is_at(place).then_some("page")] {
                                (place.name)
                            }
                        }
                    }
                }
            }
        }
    }

    fn is_at(&self, place: &Place) -> bool {
        match self.path.strip_prefix(place.path) {
            Some("") => true,
            Some(rest) => place.path != PREFIX && rest.starts_with('/'),
            None => false,
        }
    }
}

/// After a command: on to a page that says what was done.
pub(crate) fn done(path: &str, words: &str, position: u64) -> HttpResponse {
    let encoded: String = url::form_urlencoded::byte_serialize(words.as_bytes()).collect();
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((POSITION_HEADER, position.to_string()))
        .cookie(notice_cookie(&encoded, CookieDuration::seconds(30)))
        .finish()
}

fn notice_cookie(value: &str, lives: CookieDuration) -> Cookie<'static> {
    Cookie::build(NOTICE_COOKIE, value.to_string())
        .path(PREFIX)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(lives)
        .finish()
}

fn notice_words(encoded: &str) -> Option<String> {
    let pair = format!("words={encoded}");
    let (_, words) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
    (!words.is_empty()).then(|| parts::shortened(&words, NOTICE_CHARS_MAX))
}

/// A page for nobody in particular: sign-in and refusals.
pub(super) fn bare(theme: Theme, next: &str, title: &str, content: Markup) -> Markup {
    let body = html! {
        main #content .bare tabindex="-1" {
            p.wordmark { "Annals" }
            h1 { (title) }
            (content)
            (theme_form(theme, next))
        }
    };
    document(theme, title, body)
}

fn theme_form(theme: Theme, next: &str) -> Markup {
    html! {
        form.theme method="post" action={ (PREFIX) "/theme" } aria-label="Colours" {
            input type="hidden" name="next" value=(next);
            @for choice in Theme::ALL {
                button type="submit" name="theme" value=(choice.as_str()) aria-pressed=(choice == theme) {
                    (choice.label())
                }
            }
        }
    }
}

fn document(theme: Theme, title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=(theme.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Annals" }
                link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::address("console.css"));
                script src=(assets::address("console.js")) defer {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                (body)
            }
        }
    }
}

/// HTML with the headers that every page has.
pub(super) fn respond(status: StatusCode, page: Markup) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        // With `no-referrer`, browsers would send our own forms without an origin to compare.
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(page.into_string())
}
