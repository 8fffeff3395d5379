//! Links, mentions and hashtags in a post's text, found as `@atproto/api`'s `detectFacets` finds them, which
//! is what Bluesky's own clients use.

use std::{ops::Range, sync::LazyLock};

use regex::{Match, Regex};

use crate::social::links::without_closing;

/// What a stretch of the text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Feature {
    /// A handle, which has to be resolved to a DID.
    Mention(String),
    Link(String),
    /// Without its `#`; a cash tag keeps its `$`.
    Tag(String),
}

/// A stretch of the text, in bytes of its UTF-8 form, as facets are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detected {
    pub(super) range: Range<usize>,
    pub(super) feature: Feature,
}

/// A hashtag's length, in UTF-16 units as the clients count.
const TAG_UNITS_MAX: usize = 64;

static MENTION: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[\s(])(@([a-zA-Z0-9.-]+)(?-u:\b))"));
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:^|[\s(])((?:(?i:https?)://\S+)|(?:([a-zA-Z][a-zA-Z0-9]*(?:\.[a-zA-Z0-9]+)+)\S*))")
});
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    const GAP: &str = r"\s\u{AD}\u{2060}\u{200A}\u{200B}\u{200C}\u{200D}\u{20e2}";
    const SILENT: &str = r"0-9\p{P}";
    pattern(&format!(r"(?:^|\s)([#＃]([^{GAP}]*[^{GAP}{SILENT}]+[^{GAP}]*))"))
});
static CASH_TAG: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?:^|[\s(])(\$([A-Za-z][A-Za-z0-9]{0,4}))(?:$|[\s.,;:!?)"'\u{2019}])"#));
static CLOSING_PUNCTUATION: LazyLock<Regex> = LazyLock::new(|| pattern(r"\p{P}+$"));

/// The top-level domains of IANA's root zone that are written in ASCII letters, sorted.
static TOP_LEVEL: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("tlds.txt").lines().collect());

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// Sorted by position; what would overlap an earlier one is left out.
pub(super) fn detect(text: &str) -> Vec<Detected> {
    let mut found: Vec<Detected> =
        [mentions(text), links(text), tags(text), cash_tags(text)].into_iter().flatten().collect();
    found.sort_by_key(|detected| detected.range.start);
    let mut end = 0;
    found.retain(|detected| {
        let apart = detected.range.start >= end;
        if apart {
            end = detected.range.end;
        }
        apart
    });
    found
}

fn mentions(text: &str) -> Vec<Detected> {
    let mentioned = |whole: Match<'_>, handle: &str| {
        let is_handle = has_top_level_domain(handle) || handle.ends_with(".test");
        is_handle.then(|| Detected { range: whole.range(), feature: Feature::Mention(handle.to_string()) })
    };
    pairs(&MENTION, text).filter_map(|(whole, handle)| mentioned(whole, handle?.as_str())).collect()
}

fn links(text: &str) -> Vec<Detected> {
    let linked = |whole: Match<'_>, domain: Option<Match<'_>>| {
        let shown = without_closing(whole.as_str());
        let uri = match domain {
            None => shown.to_string(),
            Some(domain) if has_top_level_domain(domain.as_str()) => format!("https://{shown}"),
            Some(_) => return None,
        };
        let range = whole.start()..whole.start() + shown.len();
        // The server refuses a record with something that is no URI.
        url::Url::parse(&uri).ok()?;
        Some(Detected { range, feature: Feature::Link(uri) })
    };
    pairs(&LINK, text).filter_map(|(whole, domain)| linked(whole, domain)).collect()
}

fn tags(text: &str) -> Vec<Detected> {
    let tagged = |whole: Match<'_>, tag: Match<'_>| {
        let name = CLOSING_PUNCTUATION.replace(tag.as_str(), "").into_owned();
        let units = name.encode_utf16().count();
        // A # with an emoji modifier is the keycap emoji.
        if units == 0 || units > TAG_UNITS_MAX || name.starts_with('\u{fe0f}') {
            return None;
        }
        let end = tag.start() + name.len();
        Some(Detected { range: whole.start()..end, feature: Feature::Tag(name) })
    };
    pairs(&TAG, text).filter_map(|(whole, tag)| tagged(whole, tag?)).collect()
}

fn cash_tags(text: &str) -> Vec<Detected> {
    // The character behind a tag may be the one before the next: look for each from its own place.
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(captures) = CASH_TAG.captures_at(text, from) {
        let (Some(whole), Some(name)) = (captures.get(1), captures.get(2)) else { break };
        let feature = Feature::Tag(format!("${}", name.as_str().to_ascii_uppercase()));
        found.push(Detected { range: whole.range(), feature });
        from = whole.end();
    }
    found
}

/// The first and the second group of each match.
fn pairs<'t>(regex: &'t Regex, text: &'t str) -> impl Iterator<Item = (Match<'t>, Option<Match<'t>>)> {
    regex.captures_iter(text).filter_map(|captures| Some((captures.get(1)?, captures.get(2))))
}

fn has_top_level_domain(domain: &str) -> bool {
    domain
        .rsplit_once('.')
        .is_some_and(|(_, last)| TOP_LEVEL.binary_search(&last.to_ascii_lowercase().as_str()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `detectFacets` of `@atproto/api` 0.19.19 says: start, end, kind, value.
    const SAMPLES: &str = include_str!("facets.samples.json");

    #[derive(serde::Deserialize)]
    struct Sample {
        text: String,
        facets: Vec<(usize, usize, String, String)>,
    }

    fn as_sampled(detected: Detected) -> (usize, usize, String, String) {
        let (kind, value) = match detected.feature {
            Feature::Mention(handle) => ("mention", handle),
            Feature::Link(uri) => ("link", uri),
            Feature::Tag(tag) => ("tag", tag),
        };
        (detected.range.start, detected.range.end, kind.to_string(), value)
    }

    #[test]
    fn the_same_as_bluesky_s_own_clients_find() {
        let samples: Vec<Sample> = serde_json::from_str(SAMPLES).expect("the samples are JSON");
        assert_eq!(samples.len(), 29);
        for sample in samples {
            let found: Vec<_> = detect(&sample.text).into_iter().map(as_sampled).collect();
            assert_eq!(found, sample.facets, "{:?}", sample.text);
        }
    }

    #[test]
    fn case_does_not_hide_a_domain() {
        let found: Vec<_> = detect("HTTPS://EXAMPLE.COM @Alice.COM").into_iter().map(|d| d.feature).collect();
        assert_eq!(
            found,
            [Feature::Link("HTTPS://EXAMPLE.COM".to_string()), Feature::Mention("Alice.COM".to_string())]
        );
    }

    #[test]
    fn facets_do_not_overlap_and_lie_on_character_boundaries() {
        let text = "#(https://a.com) ($AAPL) 🦀https://b.com #🦀 #x@y.com @z.com#t";
        let mut end = 0;
        for found in detect(text) {
            assert!(found.range.start >= end && text.get(found.range.clone()).is_some(), "{found:?}");
            end = found.range.end;
        }
        assert!(end > 0);
    }

    #[test]
    fn the_top_level_domains_can_be_searched() {
        assert!(TOP_LEVEL.is_sorted() && TOP_LEVEL.len() > 1000);
        assert!(
            has_top_level_domain("a.com") && !has_top_level_domain("com") && !has_top_level_domain("a.toml")
        );
    }
}
