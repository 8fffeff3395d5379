//! `annals replay`: the past as lines of JSON, into a file or to standard output.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, IsTerminal as _, Read as _, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use annals_eventstore::{EventStore, HistoryQuery};
use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use uuid::Uuid;

use super::{ConfigArgs, database::Access, out};
use crate::{
    history::{Moment, Scope, events, lines, query::EventsQuery},
    node,
};

const PAGE_EVENTS: usize = 500;
const SEARCHED_FOR: Duration = Duration::from_secs(1);
/// How often progress is told: to a person, and to a log.
const TOLD_EVERY: Duration = Duration::from_millis(500);
const LOGGED_EVERY: Duration = Duration::from_secs(10);
/// More than the longest line has: an event is bounded by half a megabyte, its JSON may be escaped.
const TAIL_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// From this position or time on
    #[arg(long, value_name = "POSITION|TIME")]
    from: Option<Moment>,
    /// Up to this position or time; to the end of the log as it is now, if left out
    #[arg(long, value_name = "POSITION|TIME")]
    to: Option<Moment>,
    /// An event type or its beginning: publishing.post.scheduled, publishing.post, identity
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Such as publishing.post
    #[arg(long, value_name = "TYPE")]
    aggregate_type: Option<String>,
    #[arg(long, value_name = "ID")]
    aggregate_id: Option<String>,
    /// A user's or key's id, or a process' name
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// What all that came of one request shares
    #[arg(long, value_name = "ID")]
    correlation: Option<Uuid>,
    /// The events of one organization
    #[arg(long, value_name = "ID")]
    organization: Option<Uuid>,
    /// Write here; a file that is there is continued after its last whole line (give the same filters)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: ConfigArgs,
}

impl Replay {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.settings.load()?.config;
        let access = Access::open(&config).await?;
        let done = async {
            let options = node::store_options(&config, &access.secrets)?;
            let store = EventStore::open(access.pool.clone(), options).await?;
            let done = self.replay(&store).await;
            store.close().await;
            done
        }
        .await;
        access.close().await?;
        done
    }

    async fn replay(&self, store: &EventStore) -> anyhow::Result<()> {
        let mut query = self.query(store).await?;
        let (mut output, reached): (Box<dyn Write + Send>, _) = match &self.out {
            Some(path) => {
                let (file, reached) = continued(path)?;
                (Box::new(BufWriter::new(file)), reached)
            }
            None => (Box::new(BufWriter::new(io::stdout())), 0),
        };
        query.from = query.from.max(reached + 1);
        let head = store.head().await?;
        let last = query.to.min(head);
        let mut progress = Progress::new(query.from, last);
        while query.from <= last {
            let page = events::page(store, &query, PAGE_EVENTS, SEARCHED_FOR).await?;
            let next = page.next.unwrap_or(last + 1);
            // Whatever was left out by a filter has to be there all the same.
            let gap = store.first_gap(query.from, next - 1).await?;
            for event in page.events.iter().filter(|event| gap.is_none_or(|gap| event.position < gap)) {
                if !written(output.write_all(&lines::line(event)?))? {
                    return Ok(());
                }
                progress.events += 1;
            }
            if !written(output.flush())? {
                return Ok(());
            }
            if let Some(gap) = gap {
                anyhow::bail!(
                    "position {gap} is missing: the log has a gap, which it never should (annals doctor)"
                );
            }
            query.from = next;
            progress.tell(next - 1, false);
        }
        progress.tell(last, true);
        Ok(())
    }

    async fn query(&self, store: &EventStore) -> anyhow::Result<HistoryQuery> {
        let asked = EventsQuery {
            event_type: self.event_type.clone(),
            aggregate_type: self.aggregate_type.clone(),
            aggregate_id: self.aggregate_id.clone(),
            actor: self.actor.clone(),
            correlation: self.correlation,
            organization: self.organization,
            ..EventsQuery::default()
        };
        let asked = asked.check(Scope::Everything).map_err(|error| {
            let faults: Vec<_> =
                error.errors.iter().map(|fault| format!("{} {}", fault.field, fault.message)).collect();
            anyhow::anyhow!("{}", faults.join(", "))
        })?;
        let mut query = asked.resolve(store).await?;
        if let Some(from) = self.from {
            query.from = from.since(store).await?;
        }
        if let Some(to) = self.to {
            query.to = to.until(store).await?;
        }
        Ok(query)
    }
}

/// Whether there is still somebody who reads: `annals replay | head` is no failure.
fn written(done: io::Result<()>) -> anyhow::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow::Error::new(error).context("the events can't be written")),
    }
}

/// The file, cut after its last whole event, and that one's position.
fn continued(path: &Path) -> anyhow::Result<(File, u64)> {
    let context = || format!("{} can't be continued", path.display());
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let tail_begins = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(tail_begins))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).with_context(context)?;
    let (kept, position) = whole(&tail).with_context(context)?;
    anyhow::ensure!(position > 0 || tail_begins == 0, "{}: no whole line is near its end", context());
    file.set_len(tail_begins + kept as u64)?;
    file.seek(SeekFrom::End(0))?;
    Ok((file, position))
}

#[derive(Deserialize)]
struct Line {
    position: u64,
}

/// How many bytes of a file's end are whole lines, and the last one's position.
///
/// An event that reads as several has several lines: the last event's are dropped, all of them may not
/// be there, and the one before counts. Nothing is lost by it: it is written again.
fn whole(tail: &[u8]) -> anyhow::Result<(usize, u64)> {
    let mut end = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let mut last = None;
    while end > 0 {
        let begin = tail[..end - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
        let line: Line = serde_json::from_slice(&tail[begin..end])
            .context("its last line is no event: it was not written by annals replay")?;
        match last {
            Some(position) if line.position != position => return Ok((end, line.position)),
            _ => last = Some(line.position),
        }
        end = begin;
    }
    Ok((0, 0))
}

/// How far it is, on standard error.
struct Progress {
    first: u64,
    last: u64,
    events: u64,
    started: Instant,
    told: Instant,
    is_terminal: bool,
}

impl Progress {
    fn new(first: u64, last: u64) -> Self {
        let now = Instant::now();
        Self { first, last, events: 0, started: now, told: now, is_terminal: io::stderr().is_terminal() }
    }

    fn tell(&mut self, position: u64, is_done: bool) {
        let every = if self.is_terminal { TOLD_EVERY } else { LOGGED_EVERY };
        if !is_done && self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let looked_at = (position + 1).saturating_sub(self.first);
        let per_second = looked_at as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        let begin = if self.is_terminal { "\r" } else { "" };
        let end = if self.is_terminal && !is_done { "" } else { "\n" };
        let state = if is_done { "done, no gap, " } else { "" };
        out::error(&format!(
            "{begin}replay: {state}at position {position} of {}, {} events, {per_second:.0} positions/s{end}",
            self.last, self.events
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_on_where_its_events_are_whole() {
        let none = |tail: &str| whole(tail.as_bytes()).expect("is fine");
        assert_eq!(none(""), (0, 0));
        assert_eq!(none("{\"posit"), (0, 0));
        let one = "{\"position\":7}\n";
        assert_eq!(none(one), (0, 0), "the first event is written again");
        let two = format!("{one}{{\"position\":9}}\n");
        assert_eq!(none(&two), (one.len(), 7));
        assert_eq!(none(&format!("{two}{{\"position\":9,\"part\":1}}\n")), (one.len(), 7));
        assert_eq!(none(&format!("{two}{{\"position\":12,\"ty")), (one.len(), 7));
        assert!(whole(b"name,position\n1,2\n").is_err());
    }
}
