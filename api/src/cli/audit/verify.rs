//! `annals audit verify`: without database and network.

use std::{
    fs::{self, File},
    io::BufReader,
    path::PathBuf,
    process::ExitCode,
};

use annals_eventstore::notary::bundle::{Report, Scope, Verdict, VerifyOptions, verify};
use anyhow::Context as _;
use chrono::SecondsFormat;
use clap::Args;

use super::{EXIT_BROKEN, EXIT_INCOMPLETE, counted, progress::Progress};
use crate::cli::out;

const EXIT_CODES: &str = "\
Exit codes:
  0  nothing was changed, as far as the key or checkpoint that you gave reaches
  1  the file can't be read or is no bundle
  2  the command line was not understood
  3  something was changed; what and where is printed
  4  nothing contradicts, but it is self-consistent only: no key or checkpoint of yours was given, or
     the bundle has no proof from the checkpoint that you gave";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(in crate::cli) struct VerifyArgs {
    /// The bundle
    file: PathBuf,
    /// The log's public key as you learned it elsewhere, or a file with it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A file with a checkpoint that you kept from before, or with many, one after the other with an
    /// empty line between them; may be given several times
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
}

impl VerifyArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let options = VerifyOptions { key: self.key.as_deref().map(key).transpose()?, kept: self.kept()? };
        let name = self.file.display();
        let file = File::open(&self.file).with_context(|| format!("{name} can't be opened"))?;
        let mut progress = Progress::new("lines");
        let report = verify(BufReader::with_capacity(1024 * 1024, file), &options, |lines| {
            progress.tell(lines, None);
        });
        drop(progress);
        let report = report.with_context(|| format!("{name} can't be verified"))?;
        out::print(&told(&report, options.key.is_some()));
        Ok(match report.verdict {
            Verdict::Holds => ExitCode::SUCCESS,
            Verdict::Broken => ExitCode::from(EXIT_BROKEN),
            Verdict::Incomplete => ExitCode::from(EXIT_INCOMPLETE),
        })
    }

    fn kept(&self) -> anyhow::Result<Vec<String>> {
        let mut kept = Vec::new();
        for path in &self.checkpoint {
            let found = notes(&text(path)?);
            anyhow::ensure!(!found.is_empty(), "{} has no checkpoint", path.display());
            kept.extend(found);
        }
        Ok(kept)
    }
}

/// The notes of a file, as `notary.publish_file` has them: each is a text, an empty line, signatures.
fn notes(text: &str) -> Vec<String> {
    let blocks: Vec<&str> = text.split("\n\n").map(|block| block.trim_matches('\n')).collect();
    let blocks: Vec<&str> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
    blocks.chunks(2).map(|note| note.join("\n\n") + "\n").collect()
}

fn text(path: &PathBuf) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))
}

/// A verifier key as such, or the file that has it.
fn key(given: &str) -> anyhow::Result<String> {
    if given.matches('+').count() >= 2 {
        return Ok(given.trim().to_string());
    }
    Ok(text(&PathBuf::from(given))
        .context("--key is neither name+hash+base64 nor a file")?
        .trim()
        .to_string())
}

fn told(report: &Report, is_pinned: bool) -> String {
    let what = match report.scope {
        Scope::Log => "the whole log".to_string(),
        Scope::Organization(id) => format!("the events of organization {id}"),
    };
    let at = report.exported_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let whose = if is_pinned { "the one you gave" } else { "the bundle's own" };
    let mut text = format!(
        "bundle      {what}: {}, exported {at}\nkey         {} ({whose})\n",
        counted(report.events, "event"),
        report.verifier_key
    );
    if let Some(head) = &report.head {
        text.push_str(&format!("checkpoint  {}, root {}\n", counted(head.size, "event"), head.root));
    }
    section(&mut text, "Shown", &report.shown);
    section(&mut text, "Not known", &report.unknown);
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    section(&mut text, "WRONG", &problems);
    text.push_str(match report.verdict {
        Verdict::Holds => "\nHOLDS: nothing was changed.\n",
        Verdict::Incomplete => "\nINCOMPLETE: nothing contradicts, but see what is not known.\n",
        Verdict::Broken => "\nBROKEN: this is not what was signed.\n",
    });
    text
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}\n"));
    for line in lines {
        text.push_str(&format!("  - {line}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_checkpoint_or_many() {
        let (one, two) = ("log\n1\nroot\n\n— log a\n— other b\n", "log\n2\nroot\n\n— log c\n");
        assert_eq!(notes(one), [one]);
        assert_eq!(notes(&format!("{one}\n{two}\n")), [one, two]);
        assert!(notes("\n").is_empty());
    }
}
