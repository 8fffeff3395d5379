//! The first operator of an installation that others can reach: whoever enters the setup code.

use annals_tests::{Account, Api, Method, PASSWORD, Server, Settings, StatusCode};
use serde_json::json;

use crate::support::recorded;

fn printed_code(server: &Server) -> Option<String> {
    let log = server.log();
    let (_, rest) = log.rsplit_once("Setup code ")?;
    Some(rest.split(':').next()?.to_string())
}

#[tokio::test]
async fn who_enters_the_printed_code_is_the_operator_and_then_it_opens_nothing() {
    let reachable = Settings::default().variable("ANNALS_PUBLIC_URL", "https://annals.example.org");
    let mut server = Server::start_with(reachable).await;
    let ada = server.api().register("Ada").await;
    ada.api.get("admin/nodes").await.expect(StatusCode::FORBIDDEN);
    let code = printed_code(&server).expect("the server prints it");
    assert_eq!(code.len(), 14, "{code}");

    let enter = |code: &str| json!({"code": code});
    server.api().post("admin/setup", enter(&code)).await.expect(StatusCode::UNAUTHORIZED);
    for wrong in ["", "0000-0000-0000", &code[..13], &"0".repeat(65)] {
        ada.api.post("admin/setup", enter(wrong)).await.expect_field(StatusCode::BAD_REQUEST, "code");
    }
    // As somebody reads it off a screen.
    let typed = code.to_lowercase().replace('-', " ");
    let entered = ada.api.post("admin/setup", enter(&typed)).await.expect(StatusCode::OK);
    assert_eq!(entered.at("/data/isOperator"), true);
    ada.api.get("admin/nodes").await.expect(StatusCode::OK);

    let eve = server.api().register("Eve").await;
    eve.api.post("admin/setup", enter(&code)).await.expect_field(StatusCode::BAD_REQUEST, "code");
    eve.api.get("admin/nodes").await.expect(StatusCode::FORBIDDEN);
    let all = recorded(&server).await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].0.as_str(), all[0].1.as_str()),
        ("operations.operator.granted", "entered the setup code")
    );

    let before = server.log().len();
    server.restart().await;
    assert!(!server.log()[before..].contains("Setup code"), "it is printed until there is an operator");
}

/// The console with the cookie of somebody who signed in to it.
async fn console(server: &Server, account: &Account) -> Api {
    let form = server.api().request(Method::POST, "/console/sign-in");
    let signed_in = Api::send(form.form(&[("email", account.email.as_str()), ("password", PASSWORD)])).await;
    let cookies = signed_in.headers.get_all("set-cookie").iter();
    let cookies = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()).collect::<Vec<_>>();
    server.api().with_header("Cookie", cookies.join("; "))
}

#[tokio::test]
async fn the_code_can_be_entered_in_the_console_as_long_as_there_is_no_operator() {
    let reachable = Settings::default().variable("ANNALS_PUBLIC_URL", "https://annals.example.org");
    let server = Server::start_with(reachable).await;
    let ada = server.api().register("Ada").await;
    let code = printed_code(&server).expect("the server prints it");
    let page = console(&server, &ada).await;
    page.get("/console/nodes").await.expect(StatusCode::FORBIDDEN);

    let account = page.get("/console/account").await;
    assert!(account.text.contains("This installation has no operator yet"), "{}", account.text);
    let (_, rest) = account.text.split_once("name=\"form_token\" value=\"").expect("its forms carry a token");
    let token = rest.split('"').next().expect("has an end");
    let enter = async |code: &str| {
        let form = page.request(Method::POST, "/console/account/setup");
        Api::send(form.form(&[("form_token", token), ("code", code)])).await
    };
    enter("0000-0000-0000").await.expect(StatusCode::BAD_REQUEST);
    enter(&code).await.expect(StatusCode::SEE_OTHER);

    page.get("/console/nodes").await.expect(StatusCode::OK);
    let account = page.get("/console/account").await;
    assert!(!account.text.contains("no operator yet"), "{}", account.text);
}
