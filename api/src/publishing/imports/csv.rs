//! Posts as rows of CSV, in and out by one set of columns, so that what is exported can be imported.
//!
//! Spreadsheets take a cell that begins with one of `= + - @` for a formula. Such a cell is written with a
//! `'` before it, and read without it.

use csv::StringRecord;
use serde::de::DeserializeOwned;
use serde_json::Map;
use uuid::Uuid;

use crate::{
    http::{FieldError, strict_json},
    publishing::{
        export::PlainRow,
        input::{PostBody, PostType, TargetBody},
        parts::{PartBody, StringOr},
    },
};

/// The columns that say what a post is.
pub(crate) const COLUMNS: [&str; 9] =
    ["content", "type", "scheduledAt", "timezone", "channels", "tags", "media", "thread", "integrations"];

/// What an export says besides, and an import passes over.
pub(crate) const TOLD_COLUMNS: [&str; 5] = ["id", "status", "source", "author", "createdAt"];

/// Where each column stands in a file.
#[derive(Debug)]
pub(super) struct Columns([Option<usize>; COLUMNS.len()]);

impl Columns {
    /// # Errors
    /// If a name is not known or given twice, or there is no `content`.
    pub(super) fn of(header: &StringRecord) -> Result<Self, FieldError> {
        let mut places = [None; COLUMNS.len()];
        for (at, name) in header.iter().enumerate() {
            // Spreadsheets begin a file with a byte order mark.
            let name = name.trim_start_matches('\u{feff}').trim();
            match COLUMNS.iter().position(|known| *known == name) {
                Some(column) if places[column].is_none() => places[column] = Some(at),
                Some(_) => return Err(FieldError::new(name, "stands in the header twice")),
                None if TOLD_COLUMNS.contains(&name) => {}
                None => {
                    let known = COLUMNS.join(", ");
                    return Err(FieldError::new(name, format!("is no column; known here: {known}")));
                }
            }
        }
        if places[0].is_none() {
            return Err(FieldError::new("content", "must be a column: the first line is the header"));
        }
        Ok(Self(places))
    }

    /// The post that a row says.
    pub(super) fn body(&self, row: &StringRecord) -> Result<PostBody, Vec<FieldError>> {
        let cell = |column: &str| {
            let place = COLUMNS.iter().position(|known| *known == column).and_then(|nth| self.0[nth]);
            place.and_then(|at| row.get(at)).map(unguarded).unwrap_or_default()
        };
        let optional = |column: &str| Some(cell(column)).filter(|text| !text.trim().is_empty());
        let mut errors = Vec::new();
        let scheduled_at = optional("scheduledAt");
        let kind = match cell("type").trim() {
            "" if scheduled_at.is_some() => PostType::Schedule,
            "" | "draft" => PostType::Draft,
            "schedule" => PostType::Schedule,
            "now" => PostType::Now,
            _ => {
                errors.push(FieldError::new("type", "must be draft or schedule"));
                PostType::Draft
            }
        };
        let channels: Vec<String> = list("channels", &cell("channels"), &mut errors);
        let channels = channels.iter().enumerate().filter_map(|(nth, id)| match id.parse::<Uuid>() {
            Ok(id) => Some(TargetBody { id, content: None, media: None, thread: None, settings: Map::new() }),
            Err(_) => {
                errors.push(FieldError::new(format!("channels[{nth}]"), "must be a channel's id"));
                None
            }
        });
        let mut integrations: Vec<TargetBody> = channels.collect();
        if let Some(text) = optional("integrations") {
            if !integrations.is_empty() {
                errors.push(FieldError::new("channels", "must be empty where integrations are given"));
            }
            integrations = json("integrations", &text, &mut errors).unwrap_or_default();
        }
        let media = list("media", &cell("media"), &mut errors);
        let thread = match optional("thread") {
            Some(text) if text.trim_start().starts_with('[') => {
                json::<Vec<StringOr<PartBody>>>("thread", &text, &mut errors).unwrap_or_default()
            }
            Some(text) => vec![StringOr(PartBody { content: text, media: Vec::new(), delay_seconds: 0 })],
            None => Vec::new(),
        };
        let body = PostBody {
            content: cell("content"),
            media,
            thread,
            integrations,
            kind,
            scheduled_at,
            recurrence: None,
            timezone: optional("timezone"),
            tags: list("tags", &cell("tags"), &mut errors),
        };
        if errors.is_empty() { Ok(body) } else { Err(errors) }
    }
}

/// A cell with several entries: a JSON array, or texts with `;` between.
fn list<T: DeserializeOwned>(column: &str, text: &str, errors: &mut Vec<FieldError>) -> Vec<T> {
    let text = text.trim();
    if text.starts_with('[') {
        return json(column, text, errors).unwrap_or_default();
    }
    let entries: Vec<&str> = text.split(';').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    let text = serde_json::to_string(&entries).unwrap_or_default();
    json(column, &text, errors).unwrap_or_default()
}

fn json<T: DeserializeOwned>(column: &str, text: &str, errors: &mut Vec<FieldError>) -> Option<T> {
    strict_json::parse(text.as_bytes())
        .map_err(|error| {
            errors.extend(error.errors.into_iter().map(|fault| {
                let path = if fault.field == "body" { String::new() } else { fault.field };
                FieldError { field: format!("{column}{path}"), message: fault.message }
            }));
        })
        .ok()
}

/// A row of an export, in the order of [`COLUMNS`] and [`TOLD_COLUMNS`].
///
/// # Errors
/// Never in practice: what is written has text keys only.
pub(crate) fn record(row: &PlainRow) -> Result<Vec<String>, serde_json::Error> {
    let array =
        |values: &[String]| match values.iter().any(|value| value.contains(';') || value.starts_with('[')) {
            true => serde_json::to_string(values),
            false => Ok(values.join(";")),
        };
    let post = &row.post;
    let is_plain = post.integrations.iter().all(|target| {
        target.content.is_none()
            && target.media.is_none()
            && target.thread.is_none()
            && target.settings.is_empty()
    });
    let ids: Vec<String> = post.integrations.iter().map(|target| target.id.to_string()).collect();
    let (channels, integrations) = match is_plain {
        true => (ids.join(";"), String::new()),
        false => (String::new(), serde_json::to_string(&post.integrations)?),
    };
    let media = match post.media.is_empty() {
        true => String::new(),
        false => serde_json::to_string(&post.media)?,
    };
    let thread = match post.thread.is_empty() {
        true => String::new(),
        false => serde_json::to_string(&post.thread)?,
    };
    let kind = if post.kind == PostType::Schedule { "schedule" } else { "draft" };
    let cells = [
        post.content.clone(),
        kind.to_string(),
        post.scheduled_at.clone().unwrap_or_default(),
        post.timezone.clone().unwrap_or_default(),
        channels,
        array(&post.tags)?,
        media,
        thread,
        integrations,
        row.id.to_string(),
        row.status.to_string(),
        row.source.clone().unwrap_or_default(),
        row.author.clone(),
        row.created_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
    ];
    Ok(cells.into_iter().map(guarded).collect())
}

const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Whether a spreadsheet could take it for a formula, or it looks as if we had seen to that.
fn needs_guard(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(FORMULAS)
}

fn guarded(cell: String) -> String {
    if needs_guard(&cell) { format!("'{cell}") } else { cell }
}

fn unguarded(cell: &str) -> String {
    match cell.strip_prefix('\'') {
        Some(rest) if needs_guard(rest) => rest.to_string(),
        _ => cell.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, row: &str) -> Result<PostBody, Vec<FieldError>> {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(header.as_bytes());
        let header = reader.records().next().expect("a line").expect("is CSV");
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(row.as_bytes());
        let row = reader.records().next().expect("a line").expect("is CSV");
        Columns::of(&header).map_err(|error| vec![error])?.body(&row)
    }

    fn fields(header: &str, row: &str) -> Vec<String> {
        read(header, row).err().unwrap_or_default().into_iter().map(|error| error.field).collect()
    }

    const A: &str = "0198e000-0000-7000-8000-000000000001";
    const B: &str = "0198e000-0000-7000-8000-000000000002";

    #[test]
    fn a_row_is_a_post_and_what_is_empty_is_left_out() {
        let body = read(
            "\u{feff}content,scheduledAt,channels,tags,thread,status",
            &format!("\"Hello, you\",2027-01-01T09:00:00Z,{A}; {B},Launch;News,And more,published"),
        );
        let body = body.expect("is a post");
        assert_eq!((body.content.as_str(), body.kind), ("Hello, you", PostType::Schedule));
        assert_eq!(body.integrations.iter().map(|target| target.id.to_string()).collect::<Vec<_>>(), [A, B]);
        assert_eq!(
            (body.tags, body.thread[0].0.content.as_str()),
            (vec!["Launch".into(), "News".into()], "And more")
        );
        let bare = read("content", "Hello").expect("is a post");
        assert_eq!((bare.kind, bare.scheduled_at), (PostType::Draft, None));
    }

    #[test]
    fn what_is_wrong_is_said_by_the_column() {
        assert_eq!(fields("content,colour", "x,red"), ["colour"]);
        assert_eq!(fields("content,content", "x,y"), ["content"]);
        assert_eq!(fields("type", "draft"), ["content"]);
        assert_eq!(fields("content,type,channels", "x,soon,blog"), ["type", "channels[0]"]);
        assert_eq!(fields("content,thread", "x,\"[{\"\"content\"\":7}]\""), ["thread[0].content"]);
        assert_eq!(fields("content,media", "x,cat.png"), ["media[0]"]);
        let both = format!("x,{A},\"[{{\"\"id\"\":\"\"{B}\"\"}}]\"");
        assert_eq!(fields("content,channels,integrations", &both), ["channels"]);
    }

    #[test]
    fn a_formula_is_guarded_on_its_way_out_and_itself_again_on_its_way_in() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("@ada", "'@ada"),
            ("'=1", "''=1"),
            ("-", "'-"),
            ("'tis", "'tis"),
            ("", ""),
            ("plain", "plain"),
        ] {
            assert_eq!(guarded(cell.to_string()), written);
            assert_eq!(unguarded(written), cell);
        }
        assert_eq!(unguarded("=1"), "=1", "as a person wrote it");
    }
}
