//! Tells cargo to rebuild when a migration changes: `sqlx::migrate!` can't.

#![expect(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=../eventstore-migrations");
}
