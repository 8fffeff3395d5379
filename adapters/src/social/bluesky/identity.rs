//! Who an account is, and who a handle belongs to.

use std::{collections::HashMap, time::Duration};

use annals_commands::ports::social::OutgoingPart;
use futures::StreamExt;
use serde::Deserialize;
use url::Url;

use super::{
    record::mentioned,
    session::Session,
    xrpc::{Call, Xrpc},
};
use crate::net::{Deadline, Effect};

/// Mentions beyond these stay text, so that a post of nothing but mentions does not use up its time.
const MENTIONS_MAX: usize = 25;
const RESOLVE_AT_ONCE: usize = 5;
const RESOLVE_TIME: Duration = Duration::from_secs(3);
const NAME_CHARS_MAX: usize = 100;

/// What an account shows of itself.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) display_name: Option<String>,
    pub(super) picture: Option<String>,
}

/// The account's own profile record; nothing if it has none or it can't be read.
pub(super) async fn profile(xrpc: &Xrpc, session: &Session, deadline: Deadline) -> Profile {
    #[derive(Deserialize)]
    struct Record {
        value: Value,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Value {
        display_name: Option<String>,
        avatar: Option<Blob>,
    }
    #[derive(Deserialize)]
    struct Blob {
        #[serde(rename = "ref")]
        reference: Link,
    }
    #[derive(Deserialize)]
    struct Link {
        #[serde(rename = "$link")]
        cid: String,
    }
    let call = Call {
        server: &session.pds,
        method: "com.atproto.repo.getRecord",
        token: None,
        effect: Effect::Read,
        deadline: deadline.at_most(RESOLVE_TIME),
    };
    let parameters =
        [("repo", session.did.as_str()), ("collection", "app.bsky.actor.profile"), ("rkey", "self")];
    let Ok(record) = xrpc.query::<Record>(call, &parameters).await else {
        return Profile::default();
    };
    let display_name = record.value.display_name.map(|name| {
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        name.trim().to_string()
    });
    Profile {
        display_name: display_name.filter(|name| !name.is_empty()),
        picture: record.value.avatar.map(|blob| blob_url(&session.pds, &session.did, &blob.reference.cid)),
    }
}

fn blob_url(pds: &Url, did: &str, cid: &str) -> String {
    let mut url = pds.clone();
    url.set_path("/xrpc/com.atproto.sync.getBlob");
    url.query_pairs_mut().append_pair("did", did).append_pair("cid", cid);
    url.to_string()
}

/// The DIDs of the handles that the texts mention. A handle that does not resolve is left out.
pub(super) async fn accounts_mentioned(
    xrpc: &Xrpc,
    session: &Session,
    parts: &[OutgoingPart],
    deadline: Deadline,
) -> HashMap<String, String> {
    let handles = mentioned(parts).into_iter().take(MENTIONS_MAX);
    futures::stream::iter(handles)
        .map(|handle| async move {
            let did = resolve(xrpc, session, &handle, deadline).await?;
            Some((handle, did))
        })
        .buffer_unordered(RESOLVE_AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

async fn resolve(xrpc: &Xrpc, session: &Session, handle: &str, deadline: Deadline) -> Option<String> {
    #[derive(Deserialize)]
    struct Resolved {
        did: String,
    }
    let call = Call {
        server: &session.pds,
        method: "com.atproto.identity.resolveHandle",
        token: None,
        effect: Effect::Read,
        deadline: deadline.at_most(RESOLVE_TIME),
    };
    let handle = handle.to_ascii_lowercase();
    let resolved: Resolved = xrpc.query(call, &[("handle", handle.as_str())]).await.ok()?;
    resolved.did.starts_with("did:").then_some(resolved.did)
}
