//! `annals config`: every setting, its value, and where it came from.

use figment::value::{Empty, Num, Value};

use super::{
    HIDDEN_KEYS,
    load::{Loaded, environment_name},
};

/// A table for a person, one setting per line, secrets hidden.
pub fn show(loaded: &Loaded) -> String {
    let width = |of: fn(&super::load::Setting) -> usize| loaded.settings.iter().map(of).max().unwrap_or(0);
    let (keys, values) =
        (width(|setting| setting.key.len()), width(|setting| setting.value.chars().count()).min(48));
    let mut text = String::new();
    for setting in &loaded.settings {
        text.push_str(&format!("{:keys$}  {:values$}  {}\n", setting.key, setting.value, setting.source));
    }
    text.push_str(&format!(
        "\nA setting is given by --set {key}=VALUE, by {name}, or in annals.toml \
         (annals.example.toml documents them all), the first of these that has it.\n",
        key = "http.workers",
        name = environment_name("http.workers"),
    ));
    text
}

/// A value as the documented file would write it.
pub(super) fn shown(key: &str, value: &Value) -> String {
    let is_empty = match value {
        Value::Empty(..) => true,
        Value::Array(_, items) => items.is_empty(),
        _ => false,
    };
    if HIDDEN_KEYS.contains(&key) && !is_empty {
        return match value.as_str() {
            // The address of a database helps, its password is nobody's business.
            Some(url) if key == "database.url" => without_password(url),
            _ => "[hidden]".to_string(),
        };
    }
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Bool(_, yes) => yes.to_string(),
        Value::Char(_, letter) => format!("{letter:?}"),
        Value::Num(_, number) => number_shown(*number),
        Value::Empty(_, Empty::None | Empty::Unit) => "(not set)".to_string(),
        Value::Array(_, items) => {
            format!("[{}]", items.iter().map(|item| shown("", item)).collect::<Vec<_>>().join(", "))
        }
        // A table in a list may hold a secret: its name is enough to know it by.
        Value::Dict(_, table) => match table.get("name").and_then(Value::as_str) {
            Some(name) => format!("{{name = {name:?}, …}}"),
            None => "{…}".to_string(),
        },
    }
}

fn number_shown(number: Num) -> String {
    match (number.to_u128(), number.to_i128(), number.to_f64()) {
        (Some(number), ..) => number.to_string(),
        (_, Some(number), _) => number.to_string(),
        (.., Some(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A database's URL with its password, wherever it stands in it, hidden.
pub fn without_password(url: &str) -> String {
    let Ok(mut url) = url::Url::parse(url) else { return "[hidden]".to_string() };
    if url.password().is_some() && url.set_password(Some("hidden")).is_err() {
        return "[hidden]".to_string();
    }
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| {
            let secret = name.contains("password");
            (name.to_string(), if secret { "hidden".to_string() } else { value.to_string() })
        })
        .collect();
    if !pairs.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.to_string()
}
