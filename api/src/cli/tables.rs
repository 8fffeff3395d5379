//! The operator's lists as text: columns, one line each.

use annals_domain::kernel::Quota;

use crate::{
    operations::{
        NodeView, ParkedEventView, ParkedKeyView, ProcessView, ProjectionView, RebuildState, TimerView,
    },
    tiers::usage::{OrganizationUsage, TierView},
};

/// Rows in columns as wide as their widest cell; the last one is left as it is.
fn columns<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&head.map(str::to_string)).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn time(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(super) fn projections(all: &[ProjectionView]) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            let leader = one.leader.as_ref();
            [
                one.name.clone(),
                one.version.to_string(),
                one.generation.to_string(),
                one.position.to_string(),
                one.lag_events.to_string(),
                format!("{:.1} s", one.lag_seconds),
                format!("{:.0}/s", one.events_per_second),
                one.parked_keys.to_string(),
                leader.map_or("nobody".to_string(), |leader| format!("{}:{}", leader.host, leader.pid)),
                state(one),
            ]
        })
        .collect();
    let head = [
        "NAME",
        "VERSION",
        "GENERATION",
        "POSITION",
        "BEHIND",
        "LAG",
        "RATE",
        "PARKED KEYS",
        "LEADER",
        "STATE",
    ];
    columns(head, &rows)
}

fn state(one: &ProjectionView) -> String {
    let state = one.state.as_str();
    let Some(rebuild) = &one.rebuild else { return state.to_string() };
    let how = match rebuild.state {
        RebuildState::Running => format!("{:.0}/s", rebuild.events_per_second),
        RebuildState::Paused => "paused".to_string(),
        RebuildState::Blocked => format!("blocked by {} parked keys", rebuild.parked_keys),
    };
    let percent = (rebuild.progress * 100.0).floor();
    format!("{state}; generation {} at {percent} %, {how}", rebuild.generation)
}

pub(super) fn parked(name: &str, keys: &[ParkedKeyView]) -> String {
    let mut text = format!("{} keys of {name} are parked\n", keys.len());
    for key in keys {
        text.push_str(&format!(
            "{}  {} events from position {} ({}), generation {}: {}\n",
            key.key, key.events, key.position, key.event_type, key.generation, key.error
        ));
    }
    text
}

pub(super) fn parked_events(events: &[ParkedEventView]) -> String {
    let mut text = String::new();
    for event in events {
        let error = event.error.as_deref().unwrap_or("waits behind the one that failed");
        text.push_str(&format!(
            "{} {}, generation {}: {error}\n  {}\n",
            event.position, event.event_type, event.generation, event.payload
        ));
    }
    text
}

pub(super) fn timers(timers: &[TimerView]) -> String {
    let mut text = format!("{} timers\n", timers.len());
    for timer in timers {
        text.push_str(&format!(
            "{}  {} {} {}, due {}, {} attempts{}\n",
            timer.id,
            timer.state,
            timer.kind,
            timer.key,
            time(timer.due_at),
            timer.attempt,
            timer.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default(),
        ));
    }
    text
}

pub(super) fn processes(all: &[ProcessView]) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            let leader = one.leader.as_ref();
            [
                one.name.clone(),
                one.position.to_string(),
                one.lag_events.to_string(),
                format!("{:.1} s", one.lag_seconds),
                leader.map_or("nobody".to_string(), |leader| format!("{}:{}", leader.host, leader.pid)),
            ]
        })
        .collect();
    columns(["NAME", "POSITION", "BEHIND", "LAG", "LEADER"], &rows)
}

pub(super) fn nodes(all: &[NodeView]) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|node| {
            let mut leads = node.projections.clone();
            leads.extend(node.processes.iter().cloned());
            [
                node.id.to_string(),
                node.host.clone(),
                node.pid.to_string(),
                node.version.clone(),
                node.roles.join(","),
                time(node.started_at),
                time(node.last_seen_at),
                leads.join(", "),
            ]
        })
        .collect();
    columns(["NODE", "HOST", "PID", "VERSION", "ROLES", "STARTED", "LAST SEEN", "LEADS"], &rows)
}

pub(super) fn organizations(all: &[OrganizationUsage], total: u64) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            let [channels, posts, members, media, keys] = Quota::ALL.map(|quota| {
                let found = one.quotas.iter().find(|found| found.name == quota.as_str());
                found.map_or(String::new(), |found| match found.limit {
                    Some(limit) => format!("{} of {limit}", found.used),
                    None => found.used.to_string(),
                })
            });
            let tier = match one.tier.is_default {
                true => format!("{} (default)", one.tier.name),
                false => one.tier.name.clone(),
            };
            [one.id.to_string(), tier, channels, posts, members, media, keys, one.name.clone()]
        })
        .collect();
    let head = [
        "ORGANIZATION",
        "TIER",
        "CHANNELS",
        "POSTS THIS MONTH",
        "MEMBERS",
        "MEDIA BYTES",
        "API KEYS",
        "NAME",
    ];
    format!("{total} organizations\n{}", columns(head, &rows))
}

pub(super) fn tiers(all: &[TierView]) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|tier| {
            let [channels, posts, members, media, keys] = Quota::ALL.map(|quota| {
                let found = tier.quotas.iter().find(|found| found.name == quota.as_str());
                found.and_then(|found| found.limit).map_or("no limit".to_string(), |limit| limit.to_string())
            });
            let rate = |rate: Option<u32>| rate.map_or("by settings".to_string(), |rate| rate.to_string());
            let name = if tier.is_default { format!("{} (default)", tier.name) } else { tier.name.clone() };
            let (user, api_key) = (rate(tier.calls_per_minute.user), rate(tier.calls_per_minute.api_key));
            [name, channels, posts, members, media, keys, user, api_key]
        })
        .collect();
    let head = [
        "TIER",
        "CHANNELS",
        "POSTS A MONTH",
        "MEMBERS",
        "MEDIA BYTES",
        "API KEYS",
        "CALLS A MINUTE BY USER",
        "BY KEY",
    ];
    columns(head, &rows)
}
