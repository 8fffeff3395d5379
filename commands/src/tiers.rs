//! What the tiers of this installation are: a table that its policy fills. Which of them an organization
//! has stands in its own events; here is what that lets it have.

use std::collections::{BTreeMap, BTreeSet};

use annals_domain::{
    identity::Organization,
    kernel::{Allowance, OrganizationId, Quota, TierName},
};
use parking_lot::Mutex;

use crate::bus::{CommandError, Work};

/// A tier, as the policy describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    pub name: TierName,
    /// What people read: `Standard`.
    pub title: String,
    /// What is not in here has no limit.
    pub quotas: BTreeMap<Quota, u64>,
    pub calls: CallRates,
}

/// How often its organizations may call; none: as the installation's settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallRates {
    pub user_per_minute: Option<u32>,
    pub api_key_per_minute: Option<u32>,
}

/// Every tier there is, the smallest first.
#[derive(Debug)]
pub struct Tiers {
    tiers: Vec<Tier>,
    default: usize,
    /// Names that organizations have and the policy no longer does: each is warned of once.
    missed: Mutex<BTreeSet<TierName>>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TiersError {
    #[error("there must be 1 to {} tiers", Tiers::COUNT_MAX)]
    Count,
    #[error("the tier {0} is there twice")]
    Twice(TierName),
    #[error("{wanted} is no tier; there are {known}")]
    Unknown { wanted: String, known: String },
}

impl Tiers {
    pub const COUNT_MAX: usize = 20;

    /// `default` is the tier of organizations whose tier nobody set; the last one, which has most, if none is named.
    ///
    /// # Errors
    /// If there is none, one is there twice, or the default is none of them.
    pub fn new(tiers: Vec<Tier>, default: Option<&str>) -> Result<Self, TiersError> {
        if tiers.is_empty() || tiers.len() > Self::COUNT_MAX {
            return Err(TiersError::Count);
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = tiers.iter().find(|tier| !names.insert(&tier.name)) {
            return Err(TiersError::Twice(twice.name.clone()));
        }
        let place = match default {
            None => Some(tiers.len() - 1),
            Some(name) => tiers.iter().position(|tier| tier.name.as_str() == name),
        };
        let Some(default) = place else {
            let wanted = default.unwrap_or_default().to_string();
            return Err(TiersError::Unknown { wanted, known: names_of(&tiers) });
        };
        Ok(Self { tiers, default, missed: Mutex::default() })
    }

    /// One tier that bounds nothing.
    pub fn unlimited() -> Self {
        let tier = Tier {
            name: TierName::parse("unlimited").expect("is a name"),
            title: "Unlimited".to_string(),
            quotas: BTreeMap::new(),
            calls: CallRates::default(),
        };
        Self { tiers: vec![tier], default: 0, missed: Mutex::default() }
    }

    /// The smallest first.
    pub fn all(&self) -> &[Tier] {
        &self.tiers
    }

    /// That of organizations whose tier nobody set.
    pub fn default_tier(&self) -> &Tier {
        &self.tiers[self.default]
    }

    /// # Errors
    /// If it is none; the message names those there are.
    pub fn named(&self, name: &str) -> Result<&Tier, TiersError> {
        let found = self.tiers.iter().find(|tier| tier.name.as_str() == name);
        found.ok_or_else(|| TiersError::Unknown { wanted: name.to_string(), known: names_of(&self.tiers) })
    }

    /// An organization's, by the name in its events. One that the policy no longer has is the default.
    pub fn of(&self, name: Option<&TierName>) -> &Tier {
        let Some(name) = name else { return self.default_tier() };
        if let Some(tier) = self.tiers.iter().find(|tier| tier.name == *name) {
            return tier;
        }
        if self.missed.lock().insert(name.clone()) {
            tracing::warn!(
                tier = %name, default = %self.default_tier().name,
                "organizations have a tier that the policy does not know; the default holds for them"
            );
        }
        self.default_tier()
    }

    /// What a tier lets its organizations have of something.
    pub fn allowance(&self, tier: &Tier, quota: Quota) -> Allowance {
        let limit = tier.quotas.get(&quota).copied();
        let has_more = |other: &&Tier| match (other.quotas.get(&quota), limit) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(theirs), Some(ours)) => *theirs > ours,
        };
        let after = self.tiers.iter().skip_while(|other| other.name != tier.name);
        let more_in = after.clone().find(has_more).map(|other| other.name.clone());
        Allowance { quota, tier: tier.name.clone(), limit, more_in }
    }
}

fn names_of(tiers: &[Tier]) -> String {
    tiers.iter().map(|tier| tier.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// What an organization may have of something, at the version of the organization that the work relies on:
/// a downgrade that is recorded meanwhile makes it decide again.
pub(crate) async fn allowance(
    work: &mut Work,
    organization: OrganizationId,
    quota: Quota,
) -> Result<Allowance, CommandError> {
    let organization = work.load::<Organization>(organization).await?;
    let tiers = work.tiers();
    Ok(tiers.allowance(tiers.of(organization.tier.as_ref()), quota))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(name: &str, channels: Option<u64>) -> Tier {
        Tier {
            name: TierName::parse(name).expect("is a name"),
            title: name.to_string(),
            quotas: channels.map(|limit| (Quota::Channels, limit)).into_iter().collect(),
            calls: CallRates::default(),
        }
    }

    fn three() -> Vec<Tier> {
        vec![tier("free", Some(1)), tier("plus", Some(1)), tier("pro", Some(9)), tier("ultimate", None)]
    }

    #[test]
    fn the_next_tier_that_has_more_is_named() {
        let tiers = Tiers::new(three(), Some("free")).expect("are tiers");
        let more_in = |name: &str| {
            let allowance = tiers.allowance(tiers.named(name).expect("is there"), Quota::Channels);
            allowance.more_in.map(|name| name.as_str().to_string())
        };
        assert_eq!(more_in("free").as_deref(), Some("pro"), "plus has no more of them");
        assert_eq!(more_in("pro").as_deref(), Some("ultimate"));
        assert_eq!(more_in("ultimate"), None);
    }

    #[test]
    fn who_has_no_tier_or_one_that_is_gone_has_the_default() {
        let name = |name: &str| TierName::parse(name).expect("is a name");
        let tiers = Tiers::new(three(), None).expect("are tiers");
        assert_eq!(tiers.of(None).name.as_str(), "ultimate", "the one that has most");
        assert_eq!(tiers.of(Some(&name("pro"))).name.as_str(), "pro");
        let tiers = Tiers::new(three(), Some("free")).expect("are tiers");
        assert_eq!(tiers.of(Some(&name("gold"))).name.as_str(), "free");
        assert_eq!(tiers.of(Some(&name("gold"))).name.as_str(), "free", "and it is warned of once");
    }

    #[test]
    fn tiers_that_do_not_hold_are_refused() {
        assert_eq!(Tiers::new(Vec::new(), None).expect_err("is none"), TiersError::Count);
        let twice = Tiers::new(vec![tier("a", None), tier("a", None)], None).expect_err("is twice");
        assert_eq!(twice.to_string(), "the tier a is there twice");
        let unknown = Tiers::new(three(), Some("gold")).expect_err("is none");
        assert_eq!(unknown.to_string(), "gold is no tier; there are free, plus, pro, ultimate");
    }
}
