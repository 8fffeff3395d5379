//! Who may do what: casbin's policy, evaluated into a table when it loads.
//!
//! `enforce` costs hundreds of microseconds; a look-up costs none to speak of. The policy is a file
//! (`policy/policy.csv`); the roles, resources and actions it names are all there are.

mod table;

use std::path::Path;

use annals_domain::kernel::Role;
use casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};

pub use table::Right;
use table::Table;

/// The policy that comes with the program.
pub const DEFAULT_POLICY: &str = include_str!("../policy/policy.csv");
const MODEL: &str = include_str!("../policy/model.conf");

/// The role of the installation's operator, beside the roles of members.
pub const OPERATOR: &str = "operator";

/// What each role may do, in each organization.
#[derive(Clone)]
pub struct Rights {
    table: Table,
}

impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rights({} rights)", self.rights().len())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    #[error("the policy {path} can't be read")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the policy's rule \"{0}\" is not: role, organization, resource, action, allow or deny")]
    Rule(String),
    #[error("the policy is not valid")]
    Policy(#[from] casbin::Error),
}

impl Rights {
    /// Evaluates the policy that comes with the program.
    ///
    /// # Errors
    /// Never in practice: a test evaluates the same text.
    pub async fn built_in() -> Result<Self, RightsError> {
        Self::parse(DEFAULT_POLICY).await
    }

    /// Evaluates a policy of the operator's.
    ///
    /// # Errors
    /// If the file can't be read or is no policy.
    pub async fn load(path: &Path) -> Result<Self, RightsError> {
        let text = tokio::fs::read_to_string(path)
            .await
            .map_err(|source| RightsError::File { path: path.display().to_string(), source })?;
        Self::parse(&text).await
    }

    /// Asks casbin once for everything that could ever be asked.
    ///
    /// # Errors
    /// If the text is no policy.
    pub async fn parse(policy: &str) -> Result<Self, RightsError> {
        let model = DefaultModel::from_str(MODEL).await?;
        let enforcer = Enforcer::new(model, StringAdapter::new(policy)).await?;
        Ok(Self { table: Table::evaluate(&enforcer)? })
    }

    /// Whether a member with this role may do it in this organization.
    pub fn allows(&self, role: Role, organization: &str, resource: &str, action: &str) -> bool {
        self.table.allows(role.as_str(), organization, resource, action)
    }

    /// Whether the installation's operator may do it.
    pub fn allows_operator(&self, resource: &str, action: &str) -> bool {
        self.table.allows(OPERATOR, table::EVERYWHERE, resource, action)
    }

    /// Whether any role has this right: a right that nobody has is a typing error in a route.
    pub fn knows(&self, resource: &str, action: &str) -> bool {
        self.rights().iter().any(|right| right.resource == resource && right.action == action)
    }

    /// Every right that the policy names, sorted.
    pub fn rights(&self) -> &[Right] {
        self.table.rights()
    }

    /// Whether a text may be an API key's scope: `*`, `post` or `post:*` (all of a resource), `post:read`.
    pub fn is_scope(&self, scope: &str) -> bool {
        match scope.split_once(':') {
            None | Some((_, "*")) => {
                let resource = scope.trim_end_matches(":*");
                scope == "*" || self.rights().iter().any(|right| right.resource == resource)
            }
            Some((resource, action)) => self.knows(resource, action),
        }
    }
}

/// Whether an API key's scopes include a right; none at all include everything.
pub fn scopes_allow(scopes: &[String], resource: &str, action: &str) -> bool {
    scopes.is_empty()
        || scopes.iter().any(|scope| match scope.split_once(':') {
            None => scope == "*" || scope == resource,
            Some((of, what)) => of == resource && (what == "*" || what == action),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_matrix_of_roles_resources_and_actions() {
        let rights = Rights::built_in().await.expect("the built-in policy is valid");
        let mut matrix = String::from("resource.action           viewer auditor user admin owner operator\n");
        for right in rights.rights() {
            let name = format!("{}.{}", right.resource, right.action);
            matrix.push_str(&format!("{name:<25}"));
            for role in Role::ALL {
                let may = rights.allows(role, "any", &right.resource, &right.action);
                matrix.push_str(&format!(
                    " {:<width$}",
                    if may { "x" } else { "." },
                    width = role.as_str().len()
                ));
            }
            let may = rights.allows_operator(&right.resource, &right.action);
            matrix.push_str(if may { " x\n" } else { " .\n" });
        }
        insta::assert_snapshot!(matrix);
    }

    #[tokio::test]
    async fn a_rule_can_hold_in_one_organization_only() {
        let policy = format!(
            "{DEFAULT_POLICY}\np, viewer, org-1, post, create, allow\np, user, org-2, post, create, deny\n"
        );
        let rights = Rights::parse(&policy).await.expect("is valid");
        assert!(rights.allows(Role::Viewer, "org-1", "post", "create"));
        assert!(!rights.allows(Role::Viewer, "org-2", "post", "create"));
        assert!(rights.allows(Role::User, "org-1", "post", "create"));
        assert!(!rights.allows(Role::User, "org-2", "post", "create"));
        assert!(!rights.allows(Role::Admin, "org-2", "post", "create"), "what is inherited is denied too");
    }

    #[tokio::test]
    async fn a_policy_that_is_none_is_refused() {
        for wrong in ["p, viewer, *, post", "p, vewer, *, post, read, allow", "p, viewer, *, post, read, yes"]
        {
            let error = Rights::parse(wrong).await.expect_err(wrong);
            assert!(error.to_string().contains(&wrong[3..]), "{error}");
        }
        let missing = Rights::load(Path::new("/nonexistent/policy.csv")).await.expect_err("is not there");
        assert!(missing.to_string().contains("policy.csv"));
    }

    #[test]
    fn scopes_cut_a_key_and_none_leave_it_whole() {
        let scopes = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(scopes_allow(&[], "post", "create"));
        assert!(scopes_allow(&scopes(&["post:create"]), "post", "create"));
        assert!(scopes_allow(&scopes(&["post"]), "post", "create"));
        assert!(scopes_allow(&scopes(&["post:*"]), "post", "create"));
        assert!(scopes_allow(&scopes(&["*"]), "post", "create"));
        assert!(!scopes_allow(&scopes(&["post:read", "tag"]), "post", "create"));
    }

    #[tokio::test]
    async fn a_scope_is_a_right_that_exists() {
        let rights = Rights::built_in().await.expect("is valid");
        for scope in ["*", "post", "post:*", "post:read", "api-key:create"] {
            assert!(rights.is_scope(scope), "{scope}");
        }
        for scope in ["", ":", "posts", "post:fly", "post:read:all", "nothing:*"] {
            assert!(!rights.is_scope(scope), "{scope}");
        }
    }
}
