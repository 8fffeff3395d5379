//! Invariant 3, and the arrows of ARCHITECTURE.md: who may depend on whom.

use std::{collections::BTreeSet, fs, path::Path};

/// Which of our crates a crate names in its `[dependencies]`.
fn ours(folder: &str) -> BTreeSet<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("every crate has a manifest");
    let dependencies = text.split("\n[").find(|section| section.starts_with("dependencies]"));
    let lines = dependencies.expect("every crate has dependencies").lines();
    lines
        .filter_map(|line| Some(line.strip_prefix("annals-")?.split(['.', ' ', '=']).next()?.to_string()))
        .collect()
}

#[test]
fn the_arrows_between_the_rooms_point_one_way() {
    let allowed: [(&str, &[&str]); 6] = [
        ("domain", &[]),
        ("eventstore", &[]),
        ("commands", &["domain", "eventstore"]),
        ("adapters", &["commands", "domain"]),
        ("projections", &["domain", "eventstore"]),
        ("api", &["adapters", "commands", "domain", "eventstore", "projections"]),
    ];
    for (folder, allowed) in allowed {
        let allowed: BTreeSet<String> = allowed.iter().map(ToString::to_string).collect();
        let named = ours(folder);
        assert!(named.is_subset(&allowed), "{folder} names {named:?} and may name {allowed:?}");
    }
    assert_eq!(ours("api").len(), 5, "the manifests are read as they are written");
}

#[test]
fn the_domain_does_no_io() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/Cargo.toml");
    let text = fs::read_to_string(manifest).expect("the domain has a manifest");
    let dependencies = text.split("[dev-dependencies]").next().expect("split gives at least one");
    for io in ["sqlx", "reqwest", "tokio", "actix", "rand"] {
        assert!(!dependencies.lines().any(|line| line.starts_with(io)), "domain depends on {io}");
    }
}
