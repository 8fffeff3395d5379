//! Where links in mail lead: to pages of the console, which are this server's own.
//!
//! The token goes behind `#`: browsers keep that to themselves, so it is in no server's log.

use annals_domain::kernel::PostId;
use url::Url;

/// Where an invitation is accepted.
pub fn invitation(public_url: &Url, token: &str) -> Url {
    with_token(public_url, "invitations/accept", token)
}

/// Where a new address is confirmed.
pub fn email_change(public_url: &Url, token: &str) -> Url {
    with_token(public_url, "confirm-email-change", token)
}

/// Where the account's address is verified.
pub fn verification(public_url: &Url, token: &str) -> Url {
    with_token(public_url, "verify-email", token)
}

/// Where a new password is set.
pub fn password_reset(public_url: &Url, token: &str) -> Url {
    with_token(public_url, "reset-password", token)
}

/// Where mail of a kind is switched off, by a person.
pub fn unsubscribe(public_url: &Url, token: &str) -> Url {
    with_token(public_url, "unsubscribe", token)
}

/// Where a mail program switches it off in one click (RFC 8058). Its token has to stand in the path.
pub fn one_click_unsubscribe(public_url: &Url, token: &str) -> Url {
    below(public_url, &format!("api/v1/notifications/unsubscribe/{token}"))
}

/// A page of the console.
pub fn console(public_url: &Url, path: &str) -> Url {
    page(public_url, path)
}

/// One post, with how it went on each channel.
pub fn post(public_url: &Url, id: PostId) -> Url {
    page(public_url, &format!("posts/{id}"))
}

fn page(public_url: &Url, path: &str) -> Url {
    below(public_url, &format!("console/{path}"))
}

fn below(public_url: &Url, path: &str) -> Url {
    let mut link = public_url.clone();
    link.set_path(&format!("{}/{path}", public_url.path().trim_end_matches('/')));
    link
}

fn with_token(public_url: &Url, path: &str, token: &str) -> Url {
    let mut link = page(public_url, path);
    link.set_fragment(Some(&format!("token={token}")));
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_below_the_installations_own_address() {
        let root: Url = "https://annals.example.org".parse().expect("is a URL");
        assert_eq!(
            verification(&root, "ev_x-_").as_str(),
            "https://annals.example.org/console/verify-email#token=ev_x-_"
        );
        let below: Url = "https://example.org/annals/".parse().expect("is a URL");
        assert_eq!(
            invitation(&below, "inv_1").as_str(),
            "https://example.org/annals/console/invitations/accept#token=inv_1"
        );
    }
}
