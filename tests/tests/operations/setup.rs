//! The first operator of an installation that others can reach: whoever enters the setup code.

use annals_tests::{Server, Settings, StatusCode};
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
