//! The console as people use it: the real program with what `scripts/demo` plays, in a real Chromium.
//!
//! What is done on the pages stands in `browser.cjs`; screenshots are left in `target/tmp/console`.

use std::{path::Path, process::Stdio, time::Duration};

use annals_tests::{Chromium, PASSWORD, Server, chromium};
use serde_json::{Value, json};
use tokio::process::Command;

/// A scenario with all its pages on a busy two-core machine.
const SCENARIO_WITHIN: Duration = Duration::from_secs(300);

/// Every page with what its heading says; `None`: whatever it is about.
fn places() -> Value {
    json!([
        {"path": "/console", "name": "overview", "heading": "Overview"},
        {"path": "/console/posts", "name": "calendar-week"},
        {"path": "/console/posts?view=month", "name": "calendar-month"},
        {"path": "/console/figures", "name": "figures", "heading": "Figures"},
        {"path": "/console/figures?days=7", "name": "figures-week", "heading": "Figures"},
        {"path": "/console/events", "name": "events", "heading": "Events"},
        {"path": "/console/events/9", "name": "event", "heading": "Event 9"},
        {"path": "/console/audit", "name": "audit", "heading": "Audit"},
        {"path": "/console/projections", "name": "read-models", "heading": "Read models"},
        {"path": "/console/projections/posts", "name": "read-model", "heading": "Read model posts"},
        {"path": "/console/timers", "name": "timers", "heading": "Timers"},
        {"path": "/console/nodes", "name": "nodes", "heading": "Nodes"},
        {"path": "/console/notifications", "name": "notifications", "heading": "Notifications"},
        {"path": "/console/organizations", "name": "organizations", "heading": "Organizations"},
        {"path": "/console/people", "name": "people", "heading": "People"},
        {"path": "/console/keys", "name": "keys", "heading": "API keys"},
        {"path": "/console/account", "name": "account", "heading": "Your account"},
    ])
}

/// A server in which a week of an organization was played. Ada owns it and is the operator.
struct House {
    server: Server,
    browser: Chromium,
    /// What the mail addresses of this playing have in common.
    run: String,
}

impl House {
    async fn with(browser: Chromium) -> Self {
        let server = Server::start().await;
        let played = Command::new(env!("CARGO_BIN_EXE_demo")).arg(server.url()).output().await;
        let played = played.expect("the demonstration runs");
        let words = String::from_utf8_lossy(&played.stdout).into_owned();
        assert!(played.status.success(), "{words}{}", String::from_utf8_lossy(&played.stderr));
        let run = words.split("ada.marques.").nth(1).and_then(|rest| rest.split('@').next());
        let run = run.expect("the demonstration says who Ada is").to_string();
        Self { server, browser, run }
    }

    fn email(&self, name: &str) -> String {
        format!("{name}.{}@example.org", self.run)
    }

    /// Plays a scenario of `browser.cjs` as somebody.
    async fn play(&self, scenario: &str, name: &str, settings: &[(&str, String)]) {
        let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
        std::fs::create_dir_all(&shots).expect("the folder for screenshots can be made");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/browser.cjs");
        let playing = Command::new("node")
            .arg(script)
            .arg(scenario)
            .env("NODE_PATH", &self.browser.tools)
            .env("CHROMIUM", &self.browser.program)
            .env("BASE", self.server.url())
            .env("EMAIL", self.email(name))
            .env("PASSWORD", PASSWORD)
            .env("SHOTS", &shots)
            .envs(settings.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let played = tokio::time::timeout(SCENARIO_WITHIN, playing).await.expect("ends in time");
        let played = played.expect("node runs");
        assert!(
            played.status.success(),
            "{scenario}:\n{}{}\nscreenshots are in {}",
            String::from_utf8_lossy(&played.stdout),
            String::from_utf8_lossy(&played.stderr),
            shots.display()
        );
    }
}

#[tokio::test]
async fn every_page_opens_with_real_data_light_dark_and_on_a_phone_and_has_no_barriers() {
    let Some(browser) = chromium("console: pages") else { return };
    let house = House::with(browser).await;
    house.play("pages", "ada.marques", &[("PLACES", places().to_string())]).await;
}

#[tokio::test]
async fn a_keyboard_is_enough() {
    let Some(browser) = chromium("console: keyboard") else { return };
    let house = House::with(browser).await;
    house.play("keyboard", "ada.marques", &[]).await;
    house.play("refused", "ada.marques", &[]).await;
    house.play("theme", "ada.marques", &[]).await;
}

#[tokio::test]
async fn a_viewer_sees_no_admin_pages() {
    let Some(browser) = chromium("console: viewer") else { return };
    let house = House::with(browser).await;
    let forbidden = json!([
        "/console/keys",
        "/console/events",
        "/console/events/1",
        "/console/streams/identity.user/1",
        "/console/audit",
        "/console/projections",
        "/console/projections/posts",
        "/console/timers",
        "/console/nodes",
        "/console/organizations",
    ]);
    house.play("viewer", "dan.ruiz", &[("FORBIDDEN", forbidden.to_string())]).await;
}

#[tokio::test]
async fn people_are_invited_roles_change_and_a_key_is_shown_once() {
    let Some(browser) = chromium("console: people") else { return };
    let house = House::with(browser).await;
    house.play("people", "ada.marques", &[]).await;
}

#[tokio::test]
async fn the_bell_leads_to_what_is_unread_and_a_keyboard_is_enough_to_read_it() {
    let Some(browser) = chromium("console: notifications") else { return };
    let house = House::with(browser).await;
    house.play("notifications", "ada.marques", &[]).await;
}

#[tokio::test]
async fn the_slider_shows_an_older_state_and_an_event_its_tree_and_proof() {
    let Some(browser) = chromium("console: history") else { return };
    let house = House::with(browser).await;
    // The demonstration plans the week after this one.
    let next_week = (chrono::Utc::now() + chrono::TimeDelta::days(7)).date_naive();
    house.play("history", "ada.marques", &[("NEXT_WEEK", next_week.to_string())]).await;
    house.play("audit", "ada.marques", &[]).await;
}

#[tokio::test]
async fn the_rebuild_button_is_pressed_and_its_bar_reaches_the_end() {
    let Some(browser) = chromium("console: rebuild") else { return };
    let house = House::with(browser).await;
    house.play("rebuild", "ada.marques", &[]).await;
}

#[tokio::test]
async fn an_organization_is_found_and_gets_another_tier() {
    let Some(browser) = chromium("console: tiers") else { return };
    let house = House::with(browser).await;
    house.play("tiers", "ada.marques", &[]).await;
}

#[tokio::test]
async fn a_session_that_ends_leads_to_the_sign_in() {
    let Some(browser) = chromium("console: sessions") else { return };
    let house = House::with(browser).await;
    house.play("ended", "ada.marques", &[]).await;
}
