//! Signing in with other providers: a real and strict OpenID provider (`oidc-provider`), Google and GitHub as
//! `emulate` has them, and a small issuer of the tests' own (`stub.rs`) for what the others can't be made to
//! do: tokens that are expired, for somebody else, of another sign-in or signed with another key.

mod browser;
mod console;
mod frontend;
mod github;
mod google;
mod links;
mod openid;
mod passwords;
mod rules;
mod stub;
mod support;
mod tokens;
