//! What the tiers are: a file, read and checked once when the program starts.

pub mod usage;

use std::{collections::BTreeMap, path::Path};

use annals_commands::tiers::{CallRates, Tier, Tiers, TiersError};
use annals_domain::kernel::{InvalidText, Quota, TierName, bounded};
use serde::Deserialize;

use crate::config;

/// The tiers that come with the program.
pub const DEFAULT_TIERS: &str = include_str!("../policy/tiers.toml");

const TITLE_CHARS_MAX: usize = 60;
/// Far above what anybody has, and below what a count in Postgres can be.
const QUOTA_MAX: u64 = 1 << 50;
const CALLS_MAX: u32 = 1_000_000;

/// Why tiers are not taken; it names the tier and the key.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("{path} can't be read")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("it is not understood: {0}")]
    Toml(String),
    #[error("tier {number} ({name}): {key} {why}")]
    Tier { number: usize, name: String, key: String, why: InvalidText },
    #[error("{0}")]
    Tiers(TiersError),
    #[error("tiers.default: {0}")]
    Default(TiersError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    tier: Vec<TierEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierEntry {
    name: String,
    /// The name if it is left out.
    title: Option<String>,
    #[serde(default)]
    quotas: BTreeMap<String, u64>,
    #[serde(default)]
    calls_per_minute: CallsEntry,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsEntry {
    user: Option<u32>,
    api_key: Option<u32>,
}

/// The tiers that the configuration asks for.
///
/// # Errors
/// If its file can't be read or holds no tiers, or the default is none of them.
pub async fn load(config: &config::Tiers) -> Result<Tiers, PolicyError> {
    match &config.policy {
        Some(path) => parse(&read(path).await?, config.default.as_deref()),
        None => parse(DEFAULT_TIERS, config.default.as_deref()),
    }
}

async fn read(path: &Path) -> Result<String, PolicyError> {
    let text = tokio::fs::read_to_string(path).await;
    text.map_err(|source| PolicyError::File { path: path.display().to_string(), source })
}

/// # Errors
/// If the text holds no tiers, or the default is none of them.
pub fn parse(text: &str, default: Option<&str>) -> Result<Tiers, PolicyError> {
    let file: PolicyFile = toml::from_str(text).map_err(|error| PolicyError::Toml(error.to_string()))?;
    let entries = file.tier.into_iter().enumerate();
    let tiers = entries.map(|(index, entry)| tier(index + 1, entry)).collect::<Result<Vec<_>, _>>()?;
    Tiers::new(tiers, default).map_err(|error| match error {
        TiersError::Unknown { .. } => PolicyError::Default(error),
        other => PolicyError::Tiers(other),
    })
}

fn tier(number: usize, entry: TierEntry) -> Result<Tier, PolicyError> {
    let wrong = |key: &str, why: InvalidText| {
        let (name, key) = (entry.name.clone(), key.to_string());
        PolicyError::Tier { number, name, key, why }
    };
    let name = TierName::parse(&entry.name).map_err(|why| wrong("name", why))?;
    let title = bounded(entry.title.as_deref().unwrap_or(&entry.name), TITLE_CHARS_MAX);
    let title = title.map_err(|why| wrong("title", why))?;
    let mut quotas = BTreeMap::new();
    for (key, limit) in &entry.quotas {
        let path = format!("quotas.{key}");
        let quota: Quota = key.parse().map_err(|why| wrong(&path, why))?;
        // An organization has its owner, whatever its tier.
        let least = u64::from(quota == Quota::Members);
        if !(least..=QUOTA_MAX).contains(limit) {
            return Err(wrong(&path, InvalidText::new(format!("must be {least} to {QUOTA_MAX}"))));
        }
        quotas.insert(quota, *limit);
    }
    let calls = CallRates {
        user_per_minute: entry.calls_per_minute.user,
        api_key_per_minute: entry.calls_per_minute.api_key,
    };
    for (key, rate) in [("user", calls.user_per_minute), ("api_key", calls.api_key_per_minute)] {
        if rate.is_some_and(|rate| !(1..=CALLS_MAX).contains(&rate)) {
            let why = InvalidText::new(format!("must be 1 to {CALLS_MAX}"));
            return Err(wrong(&format!("calls_per_minute.{key}"), why));
        }
    }
    Ok(Tier { name, title, quotas, calls })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str, default: Option<&str>) -> String {
        parse(text, default).expect_err(text).to_string()
    }

    #[test]
    fn the_built_in_tiers_grow_and_the_last_bounds_nothing() {
        let tiers = parse(DEFAULT_TIERS, None).expect("the built-in policy is valid");
        let names: Vec<&str> = tiers.all().iter().map(|tier| tier.name.as_str()).collect();
        assert_eq!(names, ["free", "standard", "pro", "ultimate"]);
        assert_eq!(tiers.default_tier().name.as_str(), "ultimate");
        assert!(tiers.default_tier().quotas.is_empty(), "nobody is limited who runs it for themselves");
        for pair in tiers.all().windows(2) {
            for quota in Quota::ALL {
                let limit = |tier: &Tier| tier.quotas.get(&quota).copied().unwrap_or(u64::MAX);
                assert!(limit(&pair[0]) < limit(&pair[1]), "{} of {}", quota.as_str(), pair[0].name);
            }
        }
        assert_eq!(parse(DEFAULT_TIERS, Some("free")).expect("is one").default_tier().name.as_str(), "free");
    }

    #[test]
    fn a_policy_that_does_not_hold_is_refused_by_tier_and_key() {
        assert_eq!(wrong("", None), "there must be 1 to 20 tiers");
        assert!(wrong("tier = 3", None).starts_with("it is not understood: "));
        let unknown = wrong("[[tier]]\nname = \"a\"\nprice = 3", None);
        assert!(unknown.contains("price"), "{unknown}");
        assert_eq!(
            wrong("[[tier]]\nname = \"Gold\"", None),
            "tier 1 (Gold): name must be 1 to 32 of a-z, 0-9, - and _, and start with a letter"
        );
        let seats = wrong("[[tier]]\nname = \"a\"\n[tier.quotas]\nseats = 3", None);
        assert!(seats.starts_with("tier 1 (a): quotas.seats must be one of channels, "), "{seats}");
        let none = wrong("[[tier]]\nname = \"a\"\n[tier.quotas]\nmembers = 0", None);
        assert!(none.starts_with("tier 1 (a): quotas.members must be 1 to "), "{none}");
        let negative = wrong("[[tier]]\nname = \"a\"\n[tier.quotas]\nchannels = -1", None);
        assert!(negative.contains("channels = -1"), "{negative}");
        assert_eq!(
            wrong("[[tier]]\nname = \"a\"\n[[tier]]\nname = \"b\"\ncalls_per_minute = { user = 0 }", None),
            "tier 2 (b): calls_per_minute.user must be 1 to 1000000"
        );
        assert_eq!(
            wrong("[[tier]]\nname = \"a\"\n[[tier]]\nname = \"a\"", None),
            "the tier a is there twice"
        );
        assert_eq!(
            wrong("[[tier]]\nname = \"a\"", Some("gold")),
            "tiers.default: gold is no tier; there are a"
        );
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let config = config::Tiers { policy: Some("/nonexistent/tiers.toml".into()), default: None };
        let error = load(&config).await.expect_err("is not there");
        assert_eq!(error.to_string(), "/nonexistent/tiers.toml can't be read");
    }
}
