//! Tells cargo to rebuild when a migration changes: `sqlx::migrate!` can't.

fn main() {
    println!("cargo:rerun-if-changed=../eventstore-migrations");
}
