//! `annals config`: every setting, its value, and where it came from.

use super::load::{Loaded, environment_name};

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
