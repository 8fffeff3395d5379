//! The evaluated policy: role × resource × action, for all organizations and for those with rules of their own.

use std::collections::{BTreeSet, HashMap, HashSet};

use annals_domain::kernel::Role;
use casbin::{CoreApi, Enforcer, MgmtApi};

use super::{OPERATOR, RightsError};

/// In a rule, as an organization: all of them.
pub(super) const EVERYWHERE: &str = "*";

/// Something that can be allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right {
    pub resource: String,
    pub action: String,
}

/// Role, then resource, then its actions.
type Allowed = HashMap<String, HashMap<String, HashSet<String>>>;

#[derive(Clone, Debug)]
pub(super) struct Table {
    rights: Vec<Right>,
    everywhere: Allowed,
    by_organization: HashMap<String, Allowed>,
}

impl Table {
    pub(super) fn evaluate(enforcer: &Enforcer) -> Result<Self, RightsError> {
        let mut rights = BTreeSet::new();
        let mut organizations = BTreeSet::new();
        for rule in enforcer.get_policy() {
            let [role, organization, resource, action, effect] = &rule[..] else {
                return Err(RightsError::Rule(rule.join(", ")));
            };
            let is_role = role == OPERATOR || role.parse::<Role>().is_ok();
            if !is_role || !matches!(effect.as_str(), "allow" | "deny") {
                return Err(RightsError::Rule(rule.join(", ")));
            }
            rights.insert(Right { resource: resource.clone(), action: action.clone() });
            organizations.insert(organization.clone());
        }
        organizations.remove(EVERYWHERE);
        let rights: Vec<Right> = rights.into_iter().collect();
        let everywhere = allowed(enforcer, EVERYWHERE, &rights)?;
        let by_organization = organizations
            .into_iter()
            .map(|organization| {
                let allowed = allowed(enforcer, &organization, &rights)?;
                Ok((organization, allowed))
            })
            .collect::<Result<_, RightsError>>()?;
        Ok(Self { rights, everywhere, by_organization })
    }

    pub(super) fn allows(&self, role: &str, organization: &str, resource: &str, action: &str) -> bool {
        let allowed = self.by_organization.get(organization).unwrap_or(&self.everywhere);
        allowed.get(role).and_then(|of| of.get(resource)).is_some_and(|actions| actions.contains(action))
    }

    pub(super) fn rights(&self) -> &[Right] {
        &self.rights
    }
}

fn allowed(enforcer: &Enforcer, organization: &str, rights: &[Right]) -> Result<Allowed, RightsError> {
    let mut table = Allowed::new();
    for role in Role::ALL.iter().map(|role| role.as_str()).chain([OPERATOR]) {
        for Right { resource, action } in rights {
            if enforcer.enforce((role, organization, resource.as_str(), action.as_str()))? {
                let of = table.entry(role.to_string()).or_default();
                of.entry(resource.clone()).or_default().insert(action.clone());
            }
        }
    }
    Ok(table)
}
