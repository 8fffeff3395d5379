//! The console's own pages: begun there, it ends there.

use annals_tests::{Server, oidc_provider};
use serde_json::json;

use crate::{
    browser::Browser,
    support::{acme, at_provider, here, server_with, unique},
};

/// From the button of the sign-in page to where one ends, as `who`.
async fn through_the_button(server: &Server, browser: &mut Browser, who: &str) -> crate::browser::Page {
    let page =
        browser.get(&format!("{}/console/sign-in?next=%2Fconsole%2Fkeys", server.url())).await.expect(200);
    let href =
        page.text.split("href=\"").find(|part| part.contains("/auth/oidc/acme")).expect("has a button");
    let href = href.split('"').next().expect("ends").replace("&amp;", "&");
    assert!(page.text.contains("Sign in with Acme"), "{}", page.text);
    let to = browser.get(&format!("{}{href}", server.url())).await.expect(303).leads_to();
    let back = at_provider(browser, &to, who).await;
    browser.get(&here(server, &back)).await
}

/// The value of a hidden field in the form that is sent to `action`.
fn field(page: &str, action: &str, name: &str) -> String {
    let form = page.split("<form").find(|form| form.contains(action)).expect("has the form");
    let tag =
        form.split("<input").find(|tag| tag.contains(&format!("name=\"{name}\""))).expect("has the field");
    let value = tag.split("value=\"").nth(1).and_then(|rest| rest.split('"').next());
    value.expect("has a value").to_string()
}

#[tokio::test]
async fn the_button_leads_through_the_provider_to_the_page_that_was_wanted() {
    let Some(issuer) = oidc_provider("the_button_leads_through_the_provider_to_the_page_that_was_wanted")
    else {
        return;
    };
    let server = server_with(&[acme(&issuer)]).await;
    let mut browser = Browser::new();
    let ada = unique("ada");
    let end = through_the_button(&server, &mut browser, &ada).await.expect(303);
    assert_eq!(end.leads_to().path(), "/console/keys");
    browser.get(end.leads_to().as_str()).await.expect(200);
    let account = browser.get(&format!("{}/console/account", server.url())).await.expect(200).text;
    assert!(account.contains("You have no password.") && account.contains(&format!("{ada}@example.org")));

    // The only way in stays, and the page says so.
    let unlink = account.split("action=\"").find(|part| part.contains("/unlink")).expect("has the form");
    let unlink = unlink.split('"').next().expect("ends").to_string();
    let token = field(&account, &unlink, "form_token");
    let url = format!("{}{unlink}", server.url());
    let page = browser.post(&url, &[("form_token", &token)]).await.expect(409);
    assert!(page.text.contains("This is the only way into the account"), "{}", page.text);
    browser.post(&url, &[("form_token", "another")]).await.expect(403);
}

#[tokio::test]
async fn a_linked_account_is_on_the_page_of_whoever_linked_it() {
    let Some(issuer) = oidc_provider("a_linked_account_is_on_the_page_of_whoever_linked_it") else { return };
    let server = server_with(&[acme(&issuer)]).await;
    let bob = server.api().register("Bob").await;
    let mut browser = Browser::new();
    let form = [("email", bob.email.as_str()), ("password", &bob.password), ("next", "")];
    browser.post(&format!("{}/console/sign-in", server.url()), &form).await.expect(303);
    let account_url = format!("{}/console/account", server.url());
    let account = browser.get(&account_url).await.expect(200).text;
    assert!(account.contains("You have a password.") && account.contains("Link Acme"));
    let token = field(&account, "/identities/link", "form_token");
    let link = format!("{account_url}/identities/link");
    let page = browser.post(&link, &[("form_token", &token), ("provider", "acme")]).await.expect(200);
    let refresh = page.headers["refresh"].to_str().expect("is text").to_string();
    let to = refresh.strip_prefix("0; url=").expect("leads on").parse().expect("is a URL");
    let there = unique("bob-there");
    let back = at_provider(&mut browser, &to, &there).await;
    let end = browser.get(&here(&server, &back)).await.expect(303);
    assert_eq!(end.leads_to().path(), "/console/account");
    let account = browser.get(&account_url).await.expect(200).text;
    assert!(account.contains("The account is linked") && account.contains(&format!("{there}@example.org")));
    assert!(!account.contains("Link Acme"));

    let unlink = account.split("action=\"").find(|part| part.contains("/unlink")).expect("has the form");
    let url = format!("{}{}", server.url(), unlink.split('"').next().expect("ends"));
    browser.post(&url, &[("form_token", &token)]).await.expect(303);
    let account = browser.get(&account_url).await.expect(200).text;
    assert!(account.contains("Link Acme") && !account.contains(&there));
    browser.post(&link, &[("form_token", &token), ("provider", "nobody")]).await.expect(404);
}

#[tokio::test]
async fn a_refusal_is_a_page_with_the_other_way_in() {
    let Some(issuer) = oidc_provider("a_refusal_is_a_page_with_the_other_way_in") else { return };
    let server = server_with(&[acme(&issuer)]).await;
    let mut browser = Browser::new();
    let ada = unique("ada");
    let body =
        json!({"email": format!("{ada}@example.org"), "password": annals_tests::PASSWORD, "name": "Ada"});
    server.api().post("auth/register", body).await.expect(annals_tests::StatusCode::CREATED);
    let page = through_the_button(&server, &mut browser, &ada).await.expect(409);
    assert!(page.text.contains("never verified") && page.text.contains("name=\"password\""), "{}", page.text);
    let nowhere = format!("{}/api/v1/auth/callback/acme?code=x&state=x", server.url());
    let page = browser.get(&nowhere).await.expect(400);
    assert!(page.text.contains("Not signed in"), "{}", page.text);
}
