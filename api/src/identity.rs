//! People and their organizations over HTTP.
//!
//! | routes | file |
//! |---|---|
//! | `auth/register`, `login`, `refresh`, `logout`, `me` | `sign_in.rs` |
//! | `auth/sessions`, `change-password`, `change-email` | `credentials.rs` |
//! | `auth/forgot-password`, `reset-password`, `verify-email`, `resend-verification` | `recovery.rs` |
//! | `auth/google`, `auth/oidc`, `auth/callback`, `auth/exchange`, `users/identities` | `external.rs`, `external/…` |
//! | `users/…` | `users.rs` |
//! | `agencies/…` | `organizations.rs`, `members.rs`, `invitations.rs` |
//! | `agencies/{id}/usage` | `usage.rs` |
//! | `settings/api-keys` | `api_keys.rs` |

pub(crate) mod api_keys;
pub(crate) mod avatar;
mod credentials;
mod directory;
pub(crate) mod external;
pub(crate) mod faults;
mod invitations;
mod members;
mod organizations;
pub(crate) mod recovery;
mod sign_in;
mod usage;
mod users;
mod views;

use actix_web::http::Method;
use utoipa::OpenApi;

pub use directory::IdentityDirectory;
use external::{begin, callback};

use crate::http::{
    Access::{Anonymous, Right, RightIn, Session, SignedIn},
    Routes,
    routes::LimitClass,
};

pub fn commands(routes: &mut Routes) {
    use Method as M;
    routes.command(M::POST, "/auth/register", Anonymous, sign_in::register).limit(LimitClass::Auth);
    routes.command(M::POST, "/auth/signup", Anonymous, sign_in::register).limit(LimitClass::Auth);
    routes.command(M::POST, "/auth/login", Anonymous, sign_in::log_in).limit(LimitClass::Auth);
    routes.command(M::POST, "/auth/refresh", Anonymous, sign_in::refresh);
    routes.command(M::POST, "/auth/logout", Session, sign_in::log_out);
    routes.command(M::DELETE, "/auth/sessions", Session, credentials::revoke_others);
    routes.command(M::DELETE, "/auth/sessions/{id}", Session, credentials::revoke);
    routes
        .command(M::POST, "/auth/change-password", Session, credentials::change_password)
        .limit(LimitClass::Auth);
    routes.command(M::POST, "/auth/change-email", Session, credentials::change_email).limit(LimitClass::Auth);
    routes
        .command(M::POST, "/auth/confirm-email-change", Anonymous, credentials::confirm_email_change)
        .limit(LimitClass::Auth);
    recovery_commands(routes);
    external_commands(routes);

    routes.command(M::PUT, "/users/profile", Right("profile", "update"), users::put_profile);
    routes.command(M::PATCH, "/users/profile", Right("profile", "update"), users::patch_profile);
    routes.command(M::PUT, "/users/avatar", Right("profile", "update"), avatar::put);
    routes.command(M::DELETE, "/users/avatar", Right("profile", "update"), avatar::delete);
    routes.command(M::PATCH, "/users/settings", Right("profile", "update"), users::patch_settings);
    routes.command(M::DELETE, "/users/account", Session, users::delete_account);

    routes.command(M::POST, "/agencies", Session, organizations::create);
    let update = RightIn("id", "organization", "update");
    routes.command(M::PUT, "/agencies/{id}/settings", update, organizations::put_settings);
    routes.command(M::PATCH, "/agencies/{id}/settings", update, organizations::patch_settings);
    let leave = RightIn("id", "organization", "leave");
    routes.command(M::POST, "/agencies/{id}/leave", leave, organizations::leave);
    let transfer = RightIn("id", "organization", "transfer");
    routes.command(M::POST, "/agencies/{id}/transfer", transfer, organizations::transfer);
    routes.command(M::POST, "/agencies/{id}/switch", Session, organizations::switch);
    let update = RightIn("id", "member", "update");
    routes.command(M::PATCH, "/agencies/{id}/members/{userId}", update, members::change_role);
    let remove = RightIn("id", "member", "delete");
    routes.command(M::DELETE, "/agencies/{id}/members/{userId}", remove, members::remove);
    let invite = RightIn("id", "invitation", "create");
    routes.command(M::POST, "/agencies/{id}/invite", invite, invitations::invite);
    let revoke = RightIn("id", "invitation", "delete");
    routes.command(M::DELETE, "/agencies/{id}/invitations/{invitationId}", revoke, invitations::revoke);
    routes.command(M::POST, "/agencies/invitations/accept", Session, invitations::accept);

    routes.command(M::POST, "/settings/api-keys", Right("api-key", "create"), api_keys::create);
    routes.command(M::DELETE, "/settings/api-keys/{id}", Right("api-key", "delete"), api_keys::revoke);
}

fn recovery_commands(routes: &mut Routes) {
    use Method as M;
    let auth = LimitClass::Auth;
    routes.command(M::POST, "/auth/forgot-password", Anonymous, recovery::forgot_password).limit(auth);
    routes.command(M::POST, "/auth/reset-password", Anonymous, recovery::reset_password).limit(auth);
    routes.command(M::POST, "/auth/verify-email", Anonymous, recovery::verify_email).limit(auth);
    routes.command(M::POST, "/auth/resend-verification", Session, recovery::resend_verification).limit(auth);
}

fn external_commands(routes: &mut Routes) {
    use Method as M;
    let auth = LimitClass::Auth;
    routes.command(M::POST, "/auth/google", Anonymous, begin::google).limit(auth);
    routes.command(M::POST, "/auth/oidc/{provider}", Anonymous, begin::oidc).limit(auth);
    routes.callback("/auth/google/callback", callback::google).limit(auth);
    routes.callback("/auth/callback/{provider}", callback::oidc).limit(auth);
    routes.command(M::POST, "/auth/exchange", Anonymous, callback::exchange).limit(auth);
    routes.command(M::POST, "/users/identities", Session, external::link).limit(auth);
    routes.command(M::DELETE, "/users/identities/{id}", Session, external::unlink);
}

pub fn queries(routes: &mut Routes) {
    routes.query("/auth/providers", Anonymous, external::providers);
    routes.query("/auth/google", Anonymous, begin::google_in_browser).limit(LimitClass::Auth);
    routes.query("/auth/oidc/{provider}", Anonymous, begin::oidc_in_browser).limit(LimitClass::Auth);
    routes.query("/users/identities", Right("profile", "read"), external::identities);
    routes.query("/auth/me", SignedIn, sign_in::me);
    routes.query("/auth/sessions", Session, credentials::sessions);
    routes.query("/users/profile", Right("profile", "read"), users::profile);
    routes.query("/users/settings", Right("profile", "read"), users::settings);
    // Pages show dozens at once.
    routes.root_query("/avatars/{user}/{file}", Anonymous, avatar::file).limit(LimitClass::None);
    routes.query("/agencies", SignedIn, organizations::list);
    routes.query("/agencies/{id}/settings", RightIn("id", "organization", "read"), organizations::settings);
    routes.query("/agencies/{id}/members", RightIn("id", "member", "read"), members::list);
    routes.query("/agencies/{id}/usage", RightIn("id", "organization", "read"), usage::usage);
    routes.query("/agencies/{id}/invitations", RightIn("id", "invitation", "read"), invitations::list);
    routes.query("/settings/api-keys", Right("api-key", "read"), api_keys::list);
}

/// What the handlers say of themselves.
#[derive(OpenApi)]
#[openapi(
    paths(
        sign_in::register, sign_in::log_in, sign_in::refresh, sign_in::log_out, sign_in::me,
        credentials::sessions, credentials::revoke, credentials::revoke_others,
        credentials::change_password, credentials::change_email, credentials::confirm_email_change,
        recovery::forgot_password, recovery::reset_password, recovery::verify_email,
        recovery::resend_verification,
        external::providers, external::begin::google, external::begin::oidc, external::begin::google_in_browser,
        external::begin::oidc_in_browser, external::callback::google, external::callback::oidc,
        external::callback::exchange, external::identities, external::link, external::unlink,
        avatar::put, avatar::delete, avatar::file, users::profile, users::put_profile, users::patch_profile, users::settings, users::patch_settings,
        users::delete_account,
        organizations::list, organizations::create, organizations::settings, organizations::put_settings,
        organizations::patch_settings, organizations::leave, organizations::transfer, organizations::switch,
        members::list, members::change_role, members::remove, usage::usage,
        invitations::invite, invitations::list, invitations::revoke, invitations::accept,
        api_keys::list, api_keys::create, api_keys::revoke,
    ),
    tags(
        (name = "auth", description = "Registration, sign-in, sessions"),
        (name = "users", description = "The signed-in person"),
        (name = "agencies", description = "Organizations, their members and invitations"),
        (name = "settings", description = "API keys"),
    ),
)]
pub struct Document;
