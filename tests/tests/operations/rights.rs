//! Every route of the operator's, called by those who are not.

use annals_tests::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::operated;

const NOBODYS_TIMER: &str = "00000000-0000-0000-0000-000000000001";

fn queries() -> [String; 9] {
    [
        "admin/projections",
        "admin/projections/tags",
        "admin/projections/tags/parked",
        "admin/projections/tags/parked/nothing",
        "admin/timers",
        "admin/processes",
        "admin/nodes",
        "admin/organizations",
        "admin/tiers",
    ]
    .map(str::to_string)
}

fn commands() -> Vec<(Method, String, Value)> {
    let why = json!({"reason": "to see whether I may"});
    let throttle = json!({"reason": "to see whether I may", "eventsPerSecond": null});
    let mut all = vec![(Method::PATCH, "admin/projections/tags/rebuild".to_string(), throttle)];
    let posted = [
        "admin/projections/tags/rebuild",
        "admin/projections/tags/rebuild/pause",
        "admin/projections/tags/rebuild/resume",
        "admin/projections/tags/rebuild/cancel",
        "admin/projections/tags/rebuild/accept",
        "admin/projections/tags/parked/replay",
        "admin/projections/tags/parked/nothing/skip",
    ];
    all.extend(posted.map(|path| (Method::POST, path.to_string(), why.clone())));
    for action in ["retry", "cancel"] {
        all.push((Method::POST, format!("admin/timers/{NOBODYS_TIMER}/{action}"), why.clone()));
    }
    all
}

#[tokio::test]
async fn an_owner_and_a_viewer_are_refused_and_nothing_is_done() {
    let (server, ada) = operated().await;
    // An owner of their own organization, and a viewer in the operator's.
    let owner = server.api().register("Eve").await.api;
    let viewer = {
        let email = "viewer@members.example.org";
        let path = format!("agencies/{}/invite", ada.organization_id);
        let invited = ada.api.post(&path, json!({"email": email, "role": "viewer"})).await;
        let token = invited.expect(StatusCode::CREATED).text_at("/data/token");
        let body = json!({"email": email, "password": annals_tests::PASSWORD, "name": "Vic"});
        let registered = server.api().post("auth/register", body).await.expect(StatusCode::CREATED);
        let api = server.api().with_token(&registered.text_at("/data/accessToken"));
        api.post("agencies/invitations/accept", json!({"token": token})).await.expect(StatusCode::OK);
        let path = format!("agencies/{}/switch", ada.organization_id);
        let switched = api.post(&path, json!({})).await.expect(StatusCode::OK);
        server.api().with_token(&switched.text_at("/data/accessToken"))
    };
    for path in queries() {
        server.api().get(&path).await.expect(StatusCode::UNAUTHORIZED);
        for refused in [&owner, &viewer] {
            refused.get(&path).await.expect(StatusCode::FORBIDDEN);
        }
        let expected = if path.ends_with("/nothing") { StatusCode::NOT_FOUND } else { StatusCode::OK };
        ada.api.get(&path).await.expect(expected);
    }
    for (method, path, body) in commands() {
        for (api, status) in [
            (&server.api(), StatusCode::UNAUTHORIZED),
            (&owner, StatusCode::FORBIDDEN),
            (&viewer, StatusCode::FORBIDDEN),
        ] {
            let request = api.request(method.clone(), &path).json(&body);
            assert_eq!(annals_tests::Api::send(request).await.status, status, "{method} {path}");
        }
    }
    assert_eq!(crate::support::recorded(&server).await, [], "nobody did anything");
    let all = ada.api.get("admin/projections").await.expect(StatusCode::OK);
    let names: Vec<&str> =
        all.at("/data").as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains(&"posts") && names.contains(&"users"), "{names:?}");
    assert!(all.at("/data").as_array().into_iter().flatten().all(|one| one["rebuild"].is_null()));
}
