//! The small parts that pages are made of: times, pills, numbers, forms.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use maud::{Markup, html};
use serde_json::Value;
use uuid::Uuid;

use super::frame::Frame;
use crate::http::pages::{FORM_TOKEN_FIELD, ONCE_FIELD};

/// A moment in a zone; the exact UTC is a hover away, and what a machine reads.
pub(super) fn time(at: DateTime<Utc>, zone: Tz, format: &str) -> Markup {
    let exact = at.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string();
    html! {
        time datetime=(at.to_rfc3339_opts(SecondsFormat::Millis, true)) title=(exact) {
            (at.with_timezone(&zone).format(format))
        }
    }
}

/// How something stands. The word says it; the colour and the mark only repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Planned,
    Good,
    Busy,
    Warning,
    Bad,
}

pub(super) fn pill(tone: Tone, word: &str) -> Markup {
    let class = match tone {
        Tone::Plain => "pill",
        Tone::Planned => "pill planned",
        Tone::Good => "pill good",
        Tone::Busy => "pill busy",
        Tone::Warning => "pill warning",
        Tone::Bad => "pill bad",
    };
    html! { span class=(class) { (word.replace('_', " ")) } }
}

/// Something that may be wider than the page, such as a table: it scrolls by itself, by keyboard too.
pub(super) fn scrolling(label: &str, content: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="group" aria-label=(label) { (content) } }
}

/// `1,234,567`, as people read it.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time as people say it: `3 s`, `2 min`, `1.5 h`.
pub(super) fn seconds(length: f64) -> String {
    match length {
        length if length < 90.0 => format!("{} s", length.ceil()),
        length if length < 5400.0 => format!("{} min", (length / 60.0).round()),
        length => format!("{:.1} h", length / 3600.0),
    }
}

/// JSON to read: indented, in a box that scrolls by itself.
pub(super) fn json(value: &Value) -> Markup {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    html! { pre.data tabindex="0" role="group" aria-label="JSON" { (text) } }
}

/// What stands where there is nothing to show: why, and what to do about it.
pub(super) fn empty(title: &str, what_to_do: &str) -> Markup {
    html! {
        div.empty {
            p.empty-title { (title) }
            p { (what_to_do) }
        }
    }
}

/// What every form of a session carries: its token, and a key that makes sending it twice harmless.
pub(super) fn form_fields(frame: &Frame) -> Markup {
    html! {
        input type="hidden" name=(FORM_TOKEN_FIELD) value=(frame.form_token);
        input type="hidden" name=(ONCE_FIELD) value=(Uuid::now_v7());
    }
}

/// One `name=value` of a query string.
pub(super) fn query_pair(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

/// A long text, cut between two words where it can be.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_string();
    }
    let cut: String = text.chars().take(chars_max).collect();
    let end = cut.rfind(' ').filter(|end| *end > cut.len() / 2).unwrap_or(cut.len());
    format!("{}…", cut[..end].trim_end_matches([',', '.', ';', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        let written: Vec<String> = [0, 999, 1000, 1_234_567].map(number).into();
        assert_eq!(written, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_length_of_time_is_in_the_unit_that_people_use() {
        let said: Vec<String> = [0.0, 0.2, 61.0, 100.0, 5400.0].map(seconds).into();
        assert_eq!(said, ["0 s", "1 s", "61 s", "2 min", "1.5 h"]);
    }

    #[test]
    fn a_long_text_is_cut_between_words() {
        assert_eq!(shortened("short", 10), "short");
        assert_eq!(shortened("one two three four", 12), "one two…");
        assert_eq!(shortened("ünbröken-wörds-stay", 6), "ünbrök…");
    }

    #[test]
    fn a_time_is_the_users_and_says_the_exact_utc() {
        let at: DateTime<Utc> = "2026-05-01T22:30:00.5Z".parse().expect("is a time");
        let written = time(at, Tz::Europe__Lisbon, "%-d %b, %H:%M").into_string();
        assert!(written.contains("title=\"2026-05-01 22:30:00.500 UTC\""), "{written}");
        assert!(written.contains("1 May, 23:30"), "{written}");
    }
}
