//! Bundles: what leaves the house, and what an auditor finds out with nothing else.

use annals_eventstore::{
    EventStore, Expected,
    notary::{
        Checkpoint, Finding, KeyChange, Notary, NotaryKey,
        bundle::{Export, ExportOptions, Problem, Report, Scope, Verdict, VerifyOptions, verify},
    },
    testing::{self, TestDatabase},
};
use serde_json::Value;
use uuid::Uuid;

use super::{deposits, key, notary, tamper};
use crate::account::{account, append, deposited, metadata, open, opened};

const OURS: Uuid = Uuid::from_u128(0xa);
const THEIRS: Uuid = Uuid::from_u128(0xb);

async fn export(notary: &Notary, scope: Scope, since: &[u64]) -> String {
    let options = ExportOptions { scope, since: since.to_vec() };
    let mut export = Export::start(notary, options).await.unwrap().expect("something was signed");
    let mut bundle = Vec::new();
    while let Some(chunk) = export.next_chunk().await.unwrap() {
        bundle.extend(chunk);
    }
    String::from_utf8(bundle).unwrap()
}

fn pinned(kept: &[&Checkpoint]) -> VerifyOptions {
    VerifyOptions {
        key: Some(key().verifier_key().to_string()),
        kept: kept.iter().map(|checkpoint| checkpoint.note.clone()).collect(),
    }
}

fn check(bundle: &str, options: &VerifyOptions) -> Report {
    verify(bundle.as_bytes(), options, |_| {}).unwrap()
}

#[track_caller]
fn problems(bundle: &str, options: &VerifyOptions) -> Vec<Problem> {
    let report = check(bundle, options);
    assert_eq!(report.verdict, Verdict::Broken, "{report:?}");
    report.problems
}

/// 700 events, signed at 300 and 700.
async fn log() -> (TestDatabase, EventStore, [Checkpoint; 2]) {
    let database = testing::database().await;
    let store = open(&database).await;
    deposits(&store, "a", 300).await;
    let first = notary(&database).checkpoint_now(KeyChange::Refused).await.unwrap();
    deposits(&store, "b", 400).await;
    let second = notary(&database).checkpoint_now(KeyChange::Refused).await.unwrap();
    (database, store, [first, second])
}

/// A bundle with line `number` (from 0) otherwise.
fn with_line(bundle: &str, number: usize, change: impl FnOnce(&str) -> String) -> String {
    let mut lines: Vec<String> = bundle.lines().map(String::from).collect();
    lines[number] = change(&lines[number]);
    lines.join("\n") + "\n"
}

/// The number of the line of a position.
fn line_of(bundle: &str, position: u64) -> usize {
    let is_it = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["event"]["position"] == position
    };
    bundle.lines().position(is_it).unwrap()
}

#[tokio::test]
async fn a_bundle_of_the_log_verifies_and_says_what_it_can_not_know() {
    let (database, store, [first, second]) = log().await;
    let bundle = export(&notary(&database), Scope::Log, &[]).await;
    let report = check(&bundle, &pinned(&[&first, &second]));
    assert_eq!((report.verdict, report.events), (Verdict::Holds, 700), "{report:?}");
    assert!(report.shown.iter().any(|shown| shown.contains("of all 700 positions")), "{report:?}");
    let report = check(&bundle, &pinned(&[]));
    assert_eq!(report.verdict, Verdict::Holds);
    assert!(report.unknown.iter().any(|unknown| unknown.contains("signed it anew")), "{report:?}");
    let report = check(&bundle, &VerifyOptions::default());
    assert_eq!(report.verdict, Verdict::Incomplete);
    assert!(report.unknown.iter().any(|unknown| unknown.contains("SELF-CONSISTENT ONLY")), "{report:?}");
    // A checkpoint that was kept says whose key it is.
    let kept = VerifyOptions { key: None, ..pinned(&[&first]) };
    assert_eq!(check(&bundle, &kept).verdict, Verdict::Holds);
    let wrong = NotaryKey::new(&[3; 32], Some("annals.test/log")).unwrap().verifier_key().to_string();
    let found = problems(&bundle, &VerifyOptions { key: Some(wrong), kept: Vec::new() });
    assert!(matches!(found[0], Problem::Checkpoint { .. }), "{found:?}");
    store.close().await;
}

#[tokio::test]
async fn what_was_changed_in_a_bundle_is_found_at_its_line() {
    let (database, store, [first, _]) = log().await;
    let bundle = export(&notary(&database), Scope::Log, &[]).await;
    let at = |position| line_of(&bundle, position);
    for (from, to) in [
        ("amount", "amounT"),
        ("\"type\\\":\\\"user", "\"type\\\":\\\"auser"),
        ("\"sequence\":3", "\"sequence\":4"),
    ] {
        let changed = with_line(&bundle, at(18), |line| line.replacen(from, to, 1));
        assert_ne!(changed, bundle, "{from}");
        let found = problems(&changed, &pinned(&[]));
        assert!(
            matches!(found[..], [Problem::Event(Finding::Changed { position: 18, .. })]),
            "{from}: {found:?}"
        );
    }
    let mut lines: Vec<&str> = bundle.lines().collect();
    lines.remove(at(18));
    let found = problems(&lines.join("\n"), &pinned(&[]));
    assert!(found.contains(&Problem::Event(Finding::Removed { position: 18 })), "{found:?}");
    let mut lines: Vec<&str> = bundle.lines().collect();
    lines.swap(at(18), at(19));
    let found = problems(&lines.join("\n"), &pinned(&[]));
    assert!(found.contains(&Problem::OutOfOrder { position: 18, after: 19 }), "{found:?}");
    let mut lines: Vec<&str> = bundle.lines().collect();
    lines.insert(at(18), lines[at(18)]);
    let found = problems(&lines.join("\n"), &pinned(&[]));
    assert!(found.contains(&Problem::Twice { position: 18 }), "{found:?}");
    let cut = &bundle[..bundle.len() / 2];
    let found = problems(cut, &pinned(&[]));
    assert!(found.contains(&Problem::CutOff), "{found:?}");
    // Someone careful, without the key: the leaf and the digest too. The checkpoints tell where.
    let forged = forge_leaf(&bundle, at(400));
    let found = problems(&forged, &pinned(&[&first]));
    assert!(found.contains(&Problem::Root { first: 301, last: 700 }), "{found:?}");
    store.close().await;
}

/// A line whose event and leaf are changed together.
fn forge_leaf(bundle: &str, number: usize) -> String {
    with_line(bundle, number, |line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let row = &line["event"];
        let text = |name: &str| row[name].as_str().unwrap().to_string();
        let forged = annals_eventstore::StoredEvent {
            position: row["position"].as_u64().unwrap(),
            event_id: text("eventId").parse().unwrap(),
            stream: annals_eventstore::StreamId::new(text("aggregateType"), text("aggregateId")),
            sequence: row["sequence"].as_u64().unwrap(),
            event_type: text("eventType"),
            event_version: text("eventVersion"),
            payload: r#"{"Deposited":{"amount":1000000}}"#.to_string(),
            metadata: text("metadata"),
            recorded_at: text("recordedAt").parse().unwrap(),
        };
        line["leaf"] = annals_eventstore::notary::leaf_hash(&forged).to_string().into();
        line["event"]["payload"] = forged.payload.into();
        line.to_string()
    })
}

#[tokio::test]
async fn what_was_changed_in_postgres_is_found_in_the_bundle() {
    let (database, store, _) = log().await;
    tamper(
        &database,
        "UPDATE events SET payload = (payload::text || ' ')::json WHERE position = 5; DELETE FROM events WHERE position = 6",
    )
    .await;
    let bundle = export(&notary(&database), Scope::Log, &[]).await;
    let found = problems(&bundle, &pinned(&[]));
    let [
        Problem::Event(Finding::Changed { position: 5, .. }),
        Problem::Event(Finding::Removed { position: 6 }),
    ] = &found[..]
    else {
        panic!("{found:?}")
    };
    store.close().await;
}

/// Everything made anew under the real key: in itself it holds, and what was kept refutes it.
#[tokio::test]
async fn a_past_rewritten_under_the_real_key_is_caught_by_an_earlier_checkpoint() {
    let (database, store, [first, second]) = log().await;
    store.close().await;
    tamper(
        &database,
        "UPDATE events SET payload = (payload::text || ' ')::json WHERE position = 310;
         DELETE FROM notary_checkpoints WHERE size > 300;
         DELETE FROM notary_tiles; UPDATE notary_tree SET size = 0, root = sha256('')",
    )
    .await;
    let notary = notary(&database);
    notary.checkpoint_now(KeyChange::Refused).await.unwrap();
    let bundle = export(&notary, Scope::Log, &[]).await;
    assert_eq!(check(&bundle, &pinned(&[])).verdict, Verdict::Holds, "the key alone does not tell");
    assert_eq!(
        check(&bundle, &pinned(&[&first])).verdict,
        Verdict::Holds,
        "nor what is older than the change"
    );
    let found = problems(&bundle, &pinned(&[&first, &second]));
    assert_eq!(found, [Problem::Kept { size: 700, first: 301, last: 700 }]);
    assert!(found[0].to_string().contains("REWRITTEN"), "{}", found[0]);
}

/// A log of two organizations and nobody, signed twice.
async fn organizations() -> (TestDatabase, EventStore, [Checkpoint; 2]) {
    let database = testing::database().await;
    let store = open(&database).await;
    let mut checkpoints = Vec::new();
    for half in 0..2 {
        for number in 0..150 {
            let organization = [Some(OURS), Some(THEIRS), None][number % 3];
            let mut one = append(account(format!("{half}-{number}")), Expected::Exact(0), vec![deposited(7)]);
            one.metadata = annals_eventstore::Metadata { organization_id: organization, ..metadata() };
            store.append(one).await.unwrap();
        }
        checkpoints.push(notary(&database).checkpoint_now(KeyChange::Refused).await.unwrap());
    }
    (database, store, checkpoints.try_into().unwrap())
}

#[tokio::test]
async fn a_bundle_of_an_organization_verifies_and_has_nobody_elses_events() {
    let (database, store, [first, second]) = organizations().await;
    let bundle = export(&notary(&database), Scope::Organization(OURS), &[150]).await;
    assert!(!bundle.contains(&THEIRS.to_string()));
    let events: Vec<Value> = bundle.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ours = events.iter().filter(|line| line["kind"] == "event");
    assert!(ours.clone().all(|line| line["event"]["metadata"].as_str().unwrap().contains(&OURS.to_string())));
    assert_eq!(ours.count(), 100);
    let report = check(&bundle, &pinned(&[&first, &second]));
    assert_eq!((report.verdict, report.events), (Verdict::Holds, 100), "{report:?}");
    assert!(report.unknown.iter().any(|unknown| unknown.contains("more events of this organization")));
    let none = export(&notary(&database), Scope::Organization(Uuid::from_u128(0xc)), &[]).await;
    assert_eq!(check(&none, &pinned(&[])).events, 0);
    store.close().await;
}

#[tokio::test]
async fn what_was_changed_in_an_organizations_bundle_is_found() {
    let (database, store, _) = organizations().await;
    let bundle = export(&notary(&database), Scope::Organization(OURS), &[]).await;
    let positions: Vec<u64> = bundle
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["event"]["position"].as_u64())
        .collect();
    let (one, next) = (positions[30], positions[31]);
    let changed = with_line(&bundle, line_of(&bundle, one), |line| line.replacen("7}", "8}", 1));
    let found = problems(&changed, &pinned(&[]));
    assert!(
        matches!(found[..], [Problem::Event(Finding::Changed { position, .. })] if position == one),
        "{found:?}"
    );
    let forged = forge_leaf(&bundle, line_of(&bundle, one));
    assert!(problems(&forged, &pinned(&[])).contains(&Problem::NotInTree { position: one }));
    let mut lines: Vec<&str> = bundle.lines().collect();
    lines.remove(line_of(&bundle, one));
    let found = problems(&lines.join("\n"), &pinned(&[]));
    assert!(found.contains(&Problem::LinesRemoved { after: positions[29], before: next }), "{found:?}");
    let mut lines: Vec<&str> = bundle.lines().collect();
    lines.swap(line_of(&bundle, one), line_of(&bundle, next));
    let found = problems(&lines.join("\n"), &pinned(&[]));
    assert!(found.contains(&Problem::OutOfOrder { position: one, after: next }), "{found:?}");
    // Somebody else's event, with its own right proof.
    let theirs = export(&notary(&database), Scope::Organization(THEIRS), &[]).await;
    let added = with_line(&bundle, line_of(&bundle, one), |line| {
        format!(
            "{line}\n{}",
            theirs.lines().find(|line| line.contains(&format!("\"position\":{}", one + 1))).unwrap()
        )
    });
    let found = problems(&added, &pinned(&[]));
    assert!(found.contains(&Problem::Foreign { position: one + 1 }), "{found:?}");
    store.close().await;
}

/// Without a proof from what the auditor kept, the answer is "not known", and how to get to know.
#[tokio::test]
async fn a_kept_checkpoint_that_the_bundle_has_no_proof_for_is_not_passed_over() {
    let (database, store, [first, _]) = organizations().await;
    let bundle = export(&notary(&database), Scope::Organization(OURS), &[]).await;
    let without: Vec<&str> = bundle.lines().filter(|line| !line.contains(r#""kind":"checkpoint""#)).collect();
    let report = check(&(without.join("\n") + "\n"), &pinned(&[&first]));
    assert_eq!(report.verdict, Verdict::Incomplete, "{report:?}");
    assert!(report.unknown.iter().any(|unknown| unknown.contains("--since 150")), "{report:?}");
    store.close().await;
}

/// The events' bytes are hashed as sealed: who loses the key loses the meaning, not the proof.
#[tokio::test]
async fn forgetting_a_person_leaves_every_proof_valid() {
    let database = testing::database().await;
    let store = open(&database).await;
    let event = opened("user:ada", "Ada Lovelace", "1234");
    store.append(append(account("ada"), Expected::Exact(0), vec![event])).await.unwrap();
    let notary = notary(&database);
    let before = notary.checkpoint_now(KeyChange::Refused).await.unwrap();
    let mut forgetting = append(account("ada"), Expected::Exact(1), vec![deposited(1)]);
    forgetting.forget.push("user:ada".to_string());
    store.append(forgetting).await.unwrap();
    assert_eq!(store.forgotten_owners().await.unwrap().len(), 1);
    notary.checkpoint_now(KeyChange::Refused).await.unwrap();
    assert!(notary.check(|_, _| {}).await.unwrap().is_sound());
    let bundle = export(&notary, Scope::Log, &[]).await;
    assert!(!bundle.contains("Ada Lovelace"), "nothing is opened for an export");
    assert_eq!(check(&bundle, &pinned(&[&before])).verdict, Verdict::Holds);
    store.close().await;
}
