//! What a post may be told on Mastodon; what it is not told is as the channel was connected.

use annals_commands::ports::social::{SettingField, SettingKind};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::token::{Credentials, Visibility};

pub(super) const WARNING_CHARS_MAX: usize = 200;

pub(super) fn fields() -> Vec<SettingField> {
    let field = |name, label, kind| SettingField { name, label, kind };
    let values = vec!["public", "unlisted", "private", "direct"];
    vec![
        field("visibility", "Who sees it", SettingKind::Choice { values }),
        field("contentWarning", "Content warning", SettingKind::Text { chars_max: WARNING_CHARS_MAX }),
        field("sensitive", "Hide its media until they are clicked", SettingKind::Flag),
        field("language", "Language", SettingKind::Language),
    ]
}

/// How a post is written.
pub(super) struct Manner {
    pub(super) visibility: Visibility,
    pub(super) content_warning: Option<String>,
    pub(super) sensitive: bool,
    pub(super) language: Option<String>,
}

/// What a post is told. Checked when it was scheduled: what is not understood any more is as if it were not told.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    visibility: Option<Visibility>,
    content_warning: Option<String>,
    sensitive: Option<bool>,
    language: Option<String>,
}

impl Manner {
    pub(super) fn of(credentials: &Credentials, settings: &Map<String, Value>) -> Self {
        let told = Told::deserialize(settings).unwrap_or_default();
        let content_warning = told.content_warning.or_else(|| credentials.content_warning.clone());
        Self {
            visibility: told.visibility.unwrap_or(credentials.visibility),
            sensitive: told.sensitive.unwrap_or(content_warning.is_some()),
            content_warning,
            language: told.language,
        }
    }
}
