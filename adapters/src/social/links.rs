//! Web addresses in plain text, found as people mean them.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

static WEB_LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[\s(])((?i:https?)://\S+)").expect("a valid pattern"));

/// The byte ranges of `http://` and `https://` addresses, in order.
pub(crate) fn web_links(text: &str) -> Vec<Range<usize>> {
    WEB_LINK
        .captures_iter(text)
        .filter_map(|found| found.get(1))
        .map(|link| link.start()..link.start() + without_closing(link.as_str()).len())
        .filter(|range| url::Url::parse(&text[range.clone()]).is_ok())
        .collect()
}

/// The address without the sentence's punctuation behind it, and without the parenthesis it stands in.
pub(crate) fn without_closing(link: &str) -> &str {
    let link = link.strip_suffix(['.', ',', ';', ':', '!', '?']).unwrap_or(link);
    match link.strip_suffix(')') {
        Some(inner) if !inner.contains('(') => inner,
        _ => link,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        web_links(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn links_end_where_the_sentence_goes_on() {
        assert_eq!(
            found("see https://a.example/x, or (http://b.example/)."),
            ["https://a.example/x", "http://b.example/"]
        );
        assert_eq!(
            found("(https://en.wikipedia.org/wiki/Rust_(language))"),
            ["https://en.wikipedia.org/wiki/Rust_(language))"]
        );
        assert_eq!(
            found("HTTPS://A.example ftp://b.example xhttps://c.example https://"),
            ["HTTPS://A.example"]
        );
    }
}
