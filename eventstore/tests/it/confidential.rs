//! Sealed values: who can read them, and that forgetting is final.

use annals_eventstore::{AppendError, EventStore, Expected, Opening, testing::database};
use serde_json::{Value, json};

use crate::account::{Account, account, append, client, deposited, open, opened};

async fn read(store: &EventStore, opening: Opening) -> (Value, Value) {
    let stored = store.read_stream(&account(1), 0, 1).await.unwrap();
    let event = store.open_event(&stored[0], opening).await.unwrap().remove(0);
    (event.payload["Opened"]["holder"].clone(), event.payload["Opened"]["pin"].clone())
}

fn personal(value: Value) -> Value {
    json!({"$personal": {"subject": "user:1", "value": value}})
}

fn secret(value: Value) -> Value {
    json!({"$secret": {"owner": "user:1", "value": value}})
}

#[tokio::test]
async fn each_reader_sees_what_it_may_and_the_row_shows_nothing() {
    let database = database().await;
    let store = open(&database).await;
    let mut with_client = append(account(1), Expected::Exact(0), vec![opened("user:1", "Ada", "1234")]);
    with_client.metadata = with_client.metadata.with_client("user:1", &client());
    store.append(with_client).await.unwrap();

    let row: String = sqlx::query_scalar("SELECT payload::text || metadata::text FROM events")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    // Quoted: base64 may hold the letters by chance, and never a quote.
    assert!(!row.contains("\"Ada\"") && !row.contains("\"1234\"") && !row.contains("192.0.2.7"), "{row}");
    assert!(row.contains("$sealed") && !row.contains("$personal"));
    assert_eq!(read(&store, Opening::Nothing).await, (personal(Value::Null), secret(Value::Null)));
    assert_eq!(read(&store, Opening::Personal).await, (personal(json!("Ada")), secret(Value::Null)));
    assert_eq!(read(&store, Opening::Everything).await, (personal(json!("Ada")), secret(json!("1234"))));
    let stored = store.read_stream(&account(1), 0, 1).await.unwrap();
    let opened = store.open_event(&stored[0], Opening::Personal).await.unwrap();
    assert_eq!(opened[0].metadata.client_info(), Some(client()));
    let closed = store.open_event(&stored[0], Opening::Nothing).await.unwrap();
    assert_eq!(closed[0].metadata.client_info(), None);
    let loaded = store.load::<Account>("1").await.unwrap();
    assert_eq!(loaded.state.pin, Some(secret(json!("1234"))));
}

#[tokio::test]
async fn a_sealed_value_opens_only_where_it_was_written() {
    let database = database().await;
    let store = open(&database).await;
    store
        .append(append(account(1), Expected::Exact(0), vec![opened("user:1", "Ada", "1234")]))
        .await
        .unwrap();
    let mut moved = store.read_stream(&account(1), 0, 1).await.unwrap().remove(0);
    assert!(store.open_event(&moved, Opening::Everything).await.is_ok());
    moved.event_id = uuid::Uuid::now_v7();
    assert!(store.open_event(&moved, Opening::Everything).await.is_err());
}

#[tokio::test]
async fn the_forgotten_are_forgotten_on_every_node_and_stay_so() {
    let database = database().await;
    let (one, two) = (open(&database).await, open(&database).await);
    one.append(append(account(1), Expected::Exact(0), vec![opened("user:1", "Ada", "1234")])).await.unwrap();
    for store in [&one, &two] {
        assert_eq!(store.load::<Account>("1").await.unwrap().state.holder, Some(personal(json!("Ada"))));
        assert_eq!(read(store, Opening::Personal).await.0, personal(json!("Ada")));
    }
    let mut forget = append(account(1), Expected::Exact(1), vec![deposited(1)]);
    forget.forget.push("user:1".to_string());
    one.append(forget).await.unwrap();
    assert_eq!(read(&one, Opening::Everything).await, (personal(Value::Null), secret(Value::Null)));
    assert_eq!(one.load::<Account>("1").await.unwrap().state.holder, Some(personal(Value::Null)));
    // The other node hears of it by the log; a condition to wait for, not a time.
    let heard = async {
        while read(&two, Opening::Everything).await != (personal(Value::Null), secret(Value::Null))
            || two.load::<Account>("1").await.unwrap().state.holder != Some(personal(Value::Null))
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), heard).await.expect("within seconds");
    for store in [&one, &two] {
        let again = append(account(2), Expected::Exact(0), vec![opened("user:1", "Ada", "1")]);
        let refused = store.append(again).await.unwrap_err();
        assert!(matches!(refused, AppendError::Forgotten { subject } if subject == "user:1"));
    }
    let forgotten = one.forgotten_owners().await.unwrap();
    assert_eq!(forgotten.iter().map(|(owner, _)| owner.as_str()).collect::<Vec<_>>(), ["user:1"]);
}

#[tokio::test]
async fn an_erased_value_is_appended_as_it_is() {
    let database = database().await;
    let store = open(&database).await;
    let mut event = opened("user:1", "Ada", "1");
    event.payload = event.payload.replace("\"Ada\"", "null");
    store.append(append(account(1), Expected::Exact(0), vec![event])).await.unwrap();
    assert_eq!(read(&store, Opening::Everything).await, (personal(Value::Null), secret(json!("1"))));
}

#[tokio::test]
async fn what_only_looks_like_a_sealed_value_is_refused() {
    let database = database().await;
    let store = open(&database).await;
    for payload in [
        r#"{"$personal":"x"}"#,
        r#"{"a":{"$personal":{"subject":"user:1","value":1},"b":2}}"#,
        r#"{"$sealed":{"class":"personal","owner":"user:1","key":"","nonce":"","text":""}}"#,
        r#"{"$personal":{"subject":"user:1","value":{"$secret":{"owner":"user:1","value":1}}}}"#,
    ] {
        let mut event = deposited(1);
        event.payload = payload.to_string();
        let refused = store.append(append(account(1), Expected::Exact(0), vec![event])).await.unwrap_err();
        assert!(matches!(refused, AppendError::Malformed { .. }), "{payload}");
    }
}

#[tokio::test]
async fn many_first_appends_of_one_owner_agree_on_one_key() {
    let database = database().await;
    let (one, two) = (open(&database).await, open(&database).await);
    let appends = (0..20).map(|number| {
        let store = if number % 2 == 0 { &one } else { &two };
        store.append(append(account(number + 1), Expected::Exact(0), vec![opened("user:1", "Ada", "1")]))
    });
    let answers = futures::future::join_all(appends).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let fresh = open(&database).await;
    for number in 1..=20 {
        let state = fresh.load::<Account>(&number.to_string()).await.unwrap().state;
        assert_eq!(state.holder, Some(personal(json!("Ada"))));
    }
}

#[tokio::test]
async fn a_snapshot_keeps_values_sealed_and_forgets_with_them() {
    let database = database().await;
    let snapshotting = || {
        let mut options = crate::account::options();
        let policy = annals_eventstore::SnapshotPolicy { every: 1, fingerprint: "1" };
        options.snapshots.insert("test.account", policy);
        options
    };
    let store = EventStore::open(database.pool.clone(), snapshotting()).await.unwrap();
    store
        .append(append(account(1), Expected::Exact(0), vec![opened("user:1", "Ada", "1234")]))
        .await
        .unwrap();
    store.load::<Account>("1").await.unwrap();
    let written = async {
        loop {
            let found = sqlx::query_scalar::<_, String>("SELECT state::text FROM snapshots")
                .fetch_optional(&database.pool)
                .await
                .unwrap();
            if let Some(state) = found {
                return state;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let row = tokio::time::timeout(std::time::Duration::from_secs(10), written).await.expect("it is written");
    // Quoted: base64 may hold the letters by chance, and never a quote.
    assert!(row.contains("$sealed") && !row.contains("\"Ada\"") && !row.contains("\"1234\""), "{row}");
    let fresh = EventStore::open(database.pool.clone(), snapshotting()).await.unwrap();
    let loaded = fresh.load::<Account>("1").await.unwrap();
    assert_eq!((loaded.version, loaded.state.holder.clone()), (1, Some(personal(json!("Ada")))));
    let mut forget = annals_eventstore::Append::new(crate::account::metadata());
    forget.forget.push("user:1".to_string());
    store.append(forget).await.unwrap();
    let after = EventStore::open(database.pool.clone(), snapshotting()).await.unwrap();
    assert_eq!(after.load::<Account>("1").await.unwrap().state.holder, Some(personal(Value::Null)));
}

#[tokio::test]
async fn the_master_key_can_be_rotated_and_a_wrong_one_is_refused() {
    let database = database().await;
    let store = open(&database).await;
    store
        .append(append(account(1), Expected::Exact(0), vec![opened("user:1", "Ada", "1234")]))
        .await
        .unwrap();
    let claim = store.claim_key("identity.email", "ada@example.org");
    let with = |master: u8, former: &[u8]| {
        let mut options =
            annals_eventstore::StoreOptions::new(annals_eventstore::MasterKey::new([master; 32]));
        options.former_master_keys =
            former.iter().map(|byte| annals_eventstore::MasterKey::new([*byte; 32])).collect();
        EventStore::open(database.pool.clone(), options)
    };
    assert!(matches!(
        with(9, &[]).await,
        Err(annals_eventstore::StoreError::Keyring(annals_eventstore::KeyringError::WrongMasterKey))
    ));
    let rotating = with(9, &[7]).await.unwrap();
    assert_eq!(read(&rotating, Opening::Personal).await.0, personal(json!("Ada")));
    // One personal key, one secret key, the log's root.
    assert_eq!(rotating.rotate_master_key().await.unwrap(), 3);
    assert_eq!(rotating.rotate_master_key().await.unwrap(), 0);
    let after = with(9, &[]).await.unwrap();
    assert_eq!(read(&after, Opening::Everything).await, (personal(json!("Ada")), secret(json!("1234"))));
    assert_eq!(after.claim_key("identity.email", "ada@example.org"), claim);
}
