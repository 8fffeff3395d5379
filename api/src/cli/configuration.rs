//! `annals config`.

use super::{ConfigArgs, out};
use crate::config;

pub(super) fn run(args: &ConfigArgs) -> anyhow::Result<()> {
    out::print(&config::show(&args.load()?));
    Ok(())
}
