//! A file on its way in: its rows one by one, whatever its format, however large it is.

use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use actix_web::http::header::{self, HeaderMap};
use annals_domain::{
    kernel::TimeZone,
    publishing::{
        Invalid, InvalidField,
        import::{ImportRow, Problem, RowContent, RowPlan},
        post::{Composition, Due, Plan},
    },
};
use serde::de::{self, SeqAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

use super::csv::{Columns, TOLD_COLUMNS};
use crate::{
    http::{ApiError, FieldError, strict_json},
    publishing::input::PostBody,
};

/// What a row may be, as text or as it is kept.
pub(super) const ROW_BYTES_MAX: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Json,
    Lines,
}

impl Format {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match value.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "text/csv" => Some(Self::Csv),
            "application/json" => Some(Self::Json),
            "application/x-ndjson" => Some(Self::Lines),
            _ => None,
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
        }
    }
}

/// Whether there is use for more rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    More,
    NoMore,
}

/// Reads a file's rows, each as a post or as what is wrong with it, until there are no more or no more are wanted.
///
/// # Errors
/// If it is no such file at all.
pub(super) fn read(
    path: &Path,
    format: Format,
    zone: &TimeZone,
    mut take: impl FnMut(ImportRow) -> Wanted,
) -> Result<(), ApiError> {
    let file = File::open(path).map_err(|error| ApiError::internal(&error))?;
    let mut number = 0;
    let mut visit = |body: Result<PostBody, Vec<FieldError>>| {
        number += 1;
        take(row(number, body, zone))
    };
    match format {
        Format::Csv => read_csv(file, &mut visit),
        Format::Json => read_array(file, &mut visit),
        Format::Lines => read_lines(file, &mut visit),
    }
}

type Visit<'v> = dyn FnMut(Result<PostBody, Vec<FieldError>>) -> Wanted + 'v;

fn read_csv(file: File, visit: &mut Visit<'_>) -> Result<(), ApiError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let unreadable =
        |error: csv::Error| ApiError::field("body", format!("is no CSV that can be read: {error}"));
    let mut record = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(unreadable)? {
        return Err(ApiError::field("body", "must begin with a header"));
    }
    let header = csv::StringRecord::from_byte_record(record.clone())
        .map_err(|_| ApiError::field("body", "must be UTF-8"))?;
    let columns = Columns::of(&header).map_err(|error| ApiError::validation(vec![error]))?;
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        let body = if record.len() > header.len() {
            Err(vec![FieldError::new(
                "row",
                format!("has {} cells; the header has {}", record.len(), header.len()),
            )])
        } else if record.as_slice().len() > ROW_BYTES_MAX {
            Err(vec![too_large()])
        } else if record.as_slice().contains(&0) {
            Err(vec![FieldError::new("row", "must not contain U+0000")])
        } else {
            csv::StringRecord::from_byte_record(record.clone())
                .map_err(|_| vec![FieldError::new("row", "must be UTF-8")])
                .and_then(|record| columns.body(&record))
        };
        if visit(body) == Wanted::NoMore {
            break;
        }
    }
    Ok(())
}

fn read_lines(file: File, visit: &mut Visit<'_>) -> Result<(), ApiError> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        // One byte more tells a row that is too long from one that just fits.
        let bytes_max = ROW_BYTES_MAX as u64 + 1;
        let read = reader.by_ref().take(bytes_max).read_until(b'\n', &mut line);
        if read.map_err(|error| ApiError::internal(&error))? == 0 {
            return Ok(());
        }
        let body = if line.len() > ROW_BYTES_MAX && line.last() != Some(&b'\n') {
            reader.skip_until(b'\n').map_err(|error| ApiError::internal(&error))?;
            Err(vec![too_large()])
        } else if line.trim_ascii().is_empty() {
            continue;
        } else {
            json_body(line.trim_ascii())
        };
        if visit(body) == Wanted::NoMore {
            return Ok(());
        }
    }
}

fn read_array(file: File, visit: &mut Visit<'_>) -> Result<(), ApiError> {
    let mut ended = false;
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(file));
    let read = de::Deserializer::deserialize_seq(&mut json, Rows { visit, ended: &mut ended });
    match read.and_then(|()| json.end()) {
        Ok(()) => Ok(()),
        Err(_) if ended => Ok(()),
        Err(error) => Err(ApiError {
            code: "INVALID_JSON",
            ..ApiError::field("body", format!("must be a JSON array of posts: {error}"))
        }),
    }
}

/// Takes the elements of an array as they are read.
struct Rows<'v, 'f> {
    visit: &'v mut Visit<'f>,
    /// Whether it was left because no more were wanted.
    ended: &'v mut bool,
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of posts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<Box<RawValue>>()? {
            if (self.visit)(json_body(row.get().as_bytes())) == Wanted::NoMore {
                *self.ended = true;
                return Err(de::Error::custom("no more rows are wanted"));
            }
        }
        Ok(())
    }
}

fn too_large() -> FieldError {
    FieldError::new("row", format!("must have at most {} KiB", ROW_BYTES_MAX / 1024))
}

/// A post as `POST /posts` takes it; what an export says besides is passed over.
fn json_body(text: &[u8]) -> Result<PostBody, Vec<FieldError>> {
    if text.len() > ROW_BYTES_MAX {
        return Err(vec![too_large()]);
    }
    let faults = |error: ApiError| -> Vec<FieldError> {
        let row = |fault: FieldError| match fault.field.as_str() {
            "body" => FieldError { field: "row".to_string(), ..fault },
            _ => fault,
        };
        error.errors.into_iter().map(row).collect()
    };
    let mut fields: Map<String, Value> = strict_json::parse(text).map_err(faults)?;
    for told in TOLD_COLUMNS {
        fields.remove(told);
    }
    let text = serde_json::to_vec(&fields)
        .map_err(|error| vec![FieldError::new("row", format!("can't be read: {error}"))])?;
    strict_json::parse(&text).map_err(faults)
}

/// The row as it is kept.
fn row(number: u32, body: Result<PostBody, Vec<FieldError>>, zone: &TimeZone) -> ImportRow {
    let content = body
        .map_err(|errors| {
            errors.into_iter().map(|fault| InvalidField::new(fault.field, fault.message)).collect()
        })
        .and_then(|body| content(body, zone));
    let content = content.and_then(|content| match serde_json::to_vec(&content) {
        Ok(kept) if kept.len() > ROW_BYTES_MAX => {
            let FieldError { field, message } = too_large();
            Err(vec![InvalidField::new(field, message)])
        }
        _ => Ok(content),
    });
    let content =
        content.unwrap_or_else(|problems| RowContent::Unusable { problems: Problem::all(problems) });
    ImportRow { number, content }
}

/// Everything that can be said of a post without looking at anything else.
fn content(body: PostBody, zone: &TimeZone) -> Result<RowContent, Vec<InvalidField>> {
    let mut problems = Vec::new();
    if body.recurrence.is_some() {
        problems.push(InvalidField::new("recurrence", "is not taken here: a series is written by itself"));
    }
    let zone = match body.timezone.as_deref().map(TimeZone::parse) {
        None => zone.clone(),
        Some(Ok(zone)) => zone,
        Some(Err(why)) => {
            problems.push(InvalidField::new("timezone", why));
            zone.clone()
        }
    };
    let plan = match body.plan(zone) {
        Ok(Plan::Draft(schedule)) => Some(RowPlan::Draft { schedule }),
        Ok(Plan::Publish(Due::At(schedule))) => Some(RowPlan::Schedule { schedule }),
        Ok(Plan::Publish(Due::Now(_))) => {
            problems
                .push(InvalidField::new("type", "must be draft or schedule: rows are worked off over time"));
            None
        }
        Err(fault) => {
            problems.push(InvalidField::new(fault.field, fault.message));
            None
        }
    };
    let tags = body.tags.clone();
    let composition = Composition::parse(&body.draft());
    match (composition, plan) {
        (Ok(composition), Some(plan)) if problems.is_empty() => {
            Ok(RowContent::Post { composition, tags, plan })
        }
        (Ok(_), _) => Err(problems),
        (Err(Invalid(more)), _) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn rows(format: Format, text: &[u8]) -> Result<Vec<ImportRow>, ApiError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text).expect("is written");
        let mut rows = Vec::new();
        read(file.path(), format, &TimeZone::default(), |row| {
            rows.push(row);
            Wanted::More
        })?;
        Ok(rows)
    }

    fn problems(row: &ImportRow) -> Vec<&str> {
        match &row.content {
            RowContent::Post { .. } => Vec::new(),
            RowContent::Unusable { problems } => {
                problems.iter().map(|problem| problem.field.as_str()).collect()
            }
        }
    }

    #[test]
    fn each_format_gives_the_same_rows_and_a_bad_row_is_one_row() {
        let csv = b"content,type\nfirst,draft\nsecond,now\n,draft\nfourth,draft,extra\nfifth,\n";
        let lines = br#"{"content": "first", "type": "draft"}

            {"content": "second", "type": "now"}
            {"content": "", "type": "draft"}
            {"content": "fourth", "type": "draft", "extra": 1}
            {"content": "fifth", "type": "draft", "status": "published", "id": 7}"#;
        let array =
            format!("[{}]", String::from_utf8_lossy(lines).replace("\n\n", "\n").replace("}\n", "},\n"));
        for (format, text) in [
            (Format::Csv, csv.as_slice()),
            (Format::Lines, lines.as_slice()),
            (Format::Json, array.as_bytes()),
        ] {
            let rows = rows(format, text).expect("can be read");
            let told: Vec<_> = rows.iter().map(problems).collect();
            let fourth = if format == Format::Csv { "row" } else { "extra" };
            assert_eq!(told, [vec![], vec!["type"], vec!["content"], vec![fourth], vec![]], "{format:?}");
            assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused_whole() {
        for (format, text) in [
            (Format::Csv, b"".as_slice()),
            (Format::Csv, b"title\nx\n"),
            (Format::Json, b"{}"),
            (Format::Json, b"[{}"),
            (Format::Json, b"[] []"),
        ] {
            let error = rows(format, text).expect_err("is refused");
            assert_eq!(error.status.as_u16(), 400, "{format:?} {text:?}");
        }
        assert_eq!(rows(Format::Lines, b"\n\n").map(|rows| rows.len()).ok(), Some(0));
    }

    #[test]
    fn a_row_that_is_too_large_is_told_and_the_next_one_read() {
        let long = "x".repeat(ROW_BYTES_MAX);
        let text = format!(
            "{{\"content\": \"{long}\", \"type\": \"draft\"}}\n{{\"content\": \"ok\", \"type\": \"draft\"}}"
        );
        let rows = rows(Format::Lines, text.as_bytes()).expect("can be read");
        assert_eq!(rows.iter().map(problems).collect::<Vec<_>>(), [vec!["row"], vec![]]);
    }

    #[test]
    fn reading_ends_when_no_more_are_wanted() {
        for (format, text) in [
            (
                Format::Json,
                r#"[{"content": "a", "type": "draft"}, {"content": "b", "type": "draft"}, nonsense"#,
            ),
            (Format::Lines, "{}\n{}\n{}"),
            (Format::Csv, "content\na\nb\nc\n"),
        ] {
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            file.write_all(text.as_bytes()).expect("is written");
            let mut seen = 0;
            let read = read(file.path(), format, &TimeZone::default(), |_| {
                seen += 1;
                if seen == 2 { Wanted::NoMore } else { Wanted::More }
            });
            assert!(read.is_ok() && seen == 2, "{format:?}");
        }
    }
}
