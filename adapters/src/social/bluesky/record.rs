//! A part of a post as a record of `app.bsky.feed.post`.

use std::collections::HashMap;

use annals_commands::ports::social::{OutgoingPart, SettingField, SettingKind};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::facets::{Detected, Feature, detect};

pub(super) const COLLECTION: &str = "app.bsky.feed.post";

/// A record by its place and its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StrongRef {
    pub(super) uri: String,
    pub(super) cid: String,
}

/// What a part answers.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReplyTo {
    pub(super) root: StrongRef,
    pub(super) parent: StrongRef,
}

/// What all parts of a post have in common.
pub(super) struct Frame<'f> {
    pub(super) at: DateTime<Utc>,
    pub(super) accounts: &'f HashMap<String, String>,
    pub(super) settings: &'f Map<String, Value>,
}

const LANGUAGES: &str = "languages";
/// As the lexicon `app.bsky.feed.post` says.
const LANGUAGES_MAX: usize = 3;
const LABELS: &str = "labels";

/// What a post may be told.
pub(super) fn settings() -> Vec<SettingField> {
    // Those of `com.atproto.label.defs` that authors may give their own posts.
    let values = vec!["sexual", "nudity", "porn", "graphic-media"];
    vec![
        SettingField {
            name: LANGUAGES,
            label: "Languages",
            kind: SettingKind::Languages { count_max: LANGUAGES_MAX },
        },
        SettingField { name: LABELS, label: "Content warnings", kind: SettingKind::Choices { values } },
    ]
}

/// The record, the same in every attempt but for mentions whose accounts have changed since.
pub(super) fn record(frame: &Frame<'_>, text: &str, embed: Option<Value>, reply: Option<&ReplyTo>) -> Value {
    let facets: Vec<_> = detect(text).into_iter().filter_map(|found| facet(found, frame.accounts)).collect();
    let mut record = json!({
        "$type": COLLECTION,
        "text": text,
        "createdAt": frame.at.to_rfc3339_opts(SecondsFormat::Millis, true),
    });
    if !facets.is_empty() {
        record["facets"] = Value::Array(facets);
    }
    if let Some(embed) = embed {
        record["embed"] = embed;
    }
    if let Some(reply) = reply {
        record["reply"] = json!(reply);
    }
    if let Some(languages) = frame.settings.get(LANGUAGES) {
        record["langs"] = languages.clone();
    }
    if let Some(labels) = frame.settings.get(LABELS).and_then(Value::as_array) {
        let values: Vec<_> = labels.iter().map(|label| json!({"val": label})).collect();
        record["labels"] = json!({"$type": "com.atproto.label.defs#selfLabels", "values": values});
    }
    record
}

/// The handles that the texts mention, each once, in order.
pub(super) fn mentioned(parts: &[OutgoingPart]) -> Vec<String> {
    let mut handles = Vec::new();
    for found in parts.iter().flat_map(|part| detect(&part.text)) {
        if let Feature::Mention(handle) = found.feature
            && !handles.contains(&handle)
        {
            handles.push(handle);
        }
    }
    handles
}

/// `None` for a mention of nobody known: it stays text.
fn facet(found: Detected, accounts: &HashMap<String, String>) -> Option<Value> {
    let feature = match found.feature {
        Feature::Mention(handle) => {
            json!({"$type": "app.bsky.richtext.facet#mention", "did": accounts.get(&handle)?})
        }
        Feature::Link(uri) => json!({"$type": "app.bsky.richtext.facet#link", "uri": uri}),
        Feature::Tag(tag) => json!({"$type": "app.bsky.richtext.facet#tag", "tag": tag}),
    };
    Some(json!({
        "index": {"byteStart": found.range.start, "byteEnd": found.range.end},
        "features": [feature],
    }))
}
