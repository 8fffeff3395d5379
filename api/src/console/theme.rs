//! Light, dark, or as the system has it: a cookie, so that the first paint is already right.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration as CookieDuration},
    http::header,
    web,
};

use super::sign_in::local_path;
use crate::{
    http::{
        Anonymous, ApiError, ApiResult,
        pages::{Form, PREFIX},
    },
    state::AppState,
};

const COOKIE: &str = "annals_theme";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    pub(super) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// What this browser chose.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let chosen = request.cookie(COOKIE);
        chosen.and_then(|cookie| Self::parse(cookie.value())).unwrap_or(Self::System)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::System => "Auto",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }
}

/// Keeps the choice in the browser, for a year, and goes back to the page.
pub(super) async fn choose(state: web::Data<AppState>, _: Anonymous, form: Form) -> ApiResult {
    let theme = Theme::parse(form.text("theme")).ok_or_else(|| ApiError::field("theme", "is no theme"))?;
    let cookie = Cookie::build(COOKIE, theme.as_str())
        .path(PREFIX)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(state.config.is_https())
        .max_age(CookieDuration::days(365))
        .finish();
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, local_path(form.text("next"))))
        .cookie(cookie)
        .finish())
}
