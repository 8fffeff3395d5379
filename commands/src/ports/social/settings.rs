//! What a post may be told on one channel, beside its content: its platform's own fields.

use serde::Serialize;
use serde_json::{Map, Value};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingField {
    /// As in the body of a post: `contentWarning`.
    pub name: &'static str,
    pub label: &'static str,
    #[serde(flatten)]
    pub kind: SettingKind,
}

/// What a setting can be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum SettingKind {
    /// One of these.
    Choice { values: Vec<&'static str> },
    /// Some of these, each once.
    Choices { values: Vec<&'static str> },
    /// 1 to so many characters on one line.
    Text { chars_max: usize },
    /// True or false.
    Flag,
    /// A language by its tag: `en`, `pt-BR`.
    Language,
    /// Up to so many languages.
    Languages { count_max: usize },
}

/// A setting that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting's name, with an index where it is one of several: `languages[1]`.
    pub field: String,
    /// Follows the field's name.
    pub message: String,
}

/// What is wrong with the settings of a post on a platform with these fields.
pub fn check_settings(
    platform: &str,
    fields: &[SettingField],
    settings: &Map<String, Value>,
) -> Vec<SettingProblem> {
    let mut problems = Vec::new();
    for (name, value) in settings {
        let mut problem = |suffix: &str, message: String| {
            problems.push(SettingProblem { field: format!("{name}{suffix}"), message });
        };
        match fields.iter().find(|field| field.name == name) {
            None => problem("", format!("is no setting of {platform}: {}", known(fields))),
            Some(field) => field.kind.check(value, &mut problem),
        }
    }
    problems
}

fn known(fields: &[SettingField]) -> String {
    if fields.is_empty() {
        return "it has none".to_string();
    }
    format!("it has {}", fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", "))
}

impl SettingKind {
    fn check(&self, value: &Value, problem: &mut impl FnMut(&str, String)) {
        match self {
            Self::Choice { values } => {
                if !value.as_str().is_some_and(|value| values.contains(&value)) {
                    problem("", format!("must be one of {}", values.join(", ")));
                }
            }
            Self::Choices { values } => each(value, values.len(), problem, |entry| {
                let message = || format!("must be one of {}", values.join(", "));
                values.contains(&entry).then_some(()).ok_or_else(message)
            }),
            Self::Text { chars_max } => {
                let is_plain = |text: &str| {
                    !text.trim().is_empty()
                        && text.chars().count() <= *chars_max
                        && !text.chars().any(char::is_control)
                };
                if !value.as_str().is_some_and(is_plain) {
                    problem("", format!("must be a text of 1 to {chars_max} characters on one line"));
                }
            }
            Self::Flag => {
                if !value.is_boolean() {
                    problem("", "must be true or false".to_string());
                }
            }
            Self::Language => {
                if !value.as_str().is_some_and(is_language) {
                    problem("", LANGUAGE.to_string());
                }
            }
            Self::Languages { count_max } => each(value, *count_max, problem, |entry| {
                is_language(entry).then_some(()).ok_or_else(|| LANGUAGE.to_string())
            }),
        }
    }
}

const LANGUAGE: &str = "must be a language's tag such as en or pt-BR";

/// A list of up to so many texts, each once, and each as `check` wants it.
fn each(
    value: &Value,
    count_max: usize,
    problem: &mut impl FnMut(&str, String),
    check: impl Fn(&str) -> Result<(), String>,
) {
    let Some(entries) = value.as_array() else { return problem("", "must be a list".to_string()) };
    if entries.is_empty() || entries.len() > count_max {
        return problem("", format!("must have 1 to {count_max} entries"));
    }
    for (index, entry) in entries.iter().enumerate() {
        let field = format!("[{index}]");
        match entry.as_str().map(&check) {
            None => problem(&field, "must be a text".to_string()),
            Some(Err(message)) => problem(&field, message),
            Some(Ok(())) if entries[..index].contains(entry) => {
                problem(&field, "is listed twice".to_string())
            }
            Some(Ok(())) => {}
        }
    }
}

/// BCP 47 as far as its form goes: a language of two or three letters, and what narrows it down.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    let is_letters = |text: &str| text.chars().all(|c| c.is_ascii_alphabetic());
    tag.len() <= 35
        && (2..=3).contains(&language.len())
        && is_letters(language)
        && parts.all(|part| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields() -> Vec<SettingField> {
        let field = |name, kind| SettingField { name, label: name, kind };
        vec![
            field("visibility", SettingKind::Choice { values: vec!["public", "private"] }),
            field("labels", SettingKind::Choices { values: vec!["sexual", "nudity"] }),
            field("warning", SettingKind::Text { chars_max: 5 }),
            field("sensitive", SettingKind::Flag),
            field("language", SettingKind::Language),
            field("languages", SettingKind::Languages { count_max: 2 }),
        ]
    }

    fn checked(settings: Value) -> Vec<(String, String)> {
        let settings = settings.as_object().cloned().unwrap_or_default();
        let problems = check_settings("Stage", &fields(), &settings);
        problems.into_iter().map(|problem| (problem.field, problem.message)).collect()
    }

    #[test]
    fn what_the_fields_say_is_taken() {
        for settings in [
            json!({}),
            json!({"visibility": "private", "warning": "sport", "sensitive": true, "language": "pt-BR"}),
            json!({"languages": ["en", "zh-Hans-CN"], "labels": ["nudity"]}),
        ] {
            assert_eq!(checked(settings.clone()), [], "{settings}");
        }
    }

    #[test]
    fn what_they_do_not_say_is_refused_by_name() {
        for (settings, field, words) in [
            (json!({"colour": "red"}), "colour", "is no setting of Stage"),
            (json!({"visibility": "all"}), "visibility", "must be one of public, private"),
            (json!({"visibility": null}), "visibility", "must be one of"),
            (json!({"warning": "sports"}), "warning", "1 to 5 characters"),
            (json!({"warning": " "}), "warning", "1 to 5 characters"),
            (json!({"warning": "a\nb"}), "warning", "on one line"),
            (json!({"sensitive": "yes"}), "sensitive", "true or false"),
            (json!({"language": "english"}), "language", "a language's tag"),
            (json!({"languages": "en"}), "languages", "must be a list"),
            (json!({"languages": ["en", "de", "fr"]}), "languages", "1 to 2 entries"),
            (json!({"languages": ["en", 7]}), "languages[1]", "must be a text"),
            (json!({"languages": ["en", "en"]}), "languages[1]", "is listed twice"),
            (json!({"labels": ["porn"]}), "labels[0]", "must be one of sexual, nudity"),
        ] {
            let problems = checked(settings.clone());
            assert_eq!(problems.len(), 1, "{settings}: {problems:?}");
            assert_eq!(problems[0].0, field);
            assert!(problems[0].1.contains(words), "{problems:?}");
        }
    }
}
