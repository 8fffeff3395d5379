//! `GET /posts/export`: an organization's posts as a file, read while it is sent, in the shape that an import takes.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_DISPOSITION},
    web::{self, Bytes},
};
use annals_projections::publishing::posts::{PostFilter, Seen};
use chrono::{DateTime, Utc};
use futures::{Stream, stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    imports::{
        csv::{COLUMNS, TOLD_COLUMNS, record},
        reading::Format,
    },
    input::{PostBody, PostType},
    posts::{self, PostsQuery},
    times,
    views::PostView,
};
use crate::{
    http::{ApiError, ApiResult, Caller, Query},
    state::AppState,
};

/// Posts that are held at once.
const PAGE_POSTS: i64 = 200;

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ExportFormat {
    #[default]
    Csv,
    Json,
    NdJson,
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Csv => Self::Csv,
            ExportFormat::Json => Self::Json,
            ExportFormat::NdJson => Self::Lines,
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// `csv` (if it is left out), `json` or `ndjson`.
    #[serde(default)]
    #[param(inline)]
    format: ExportFormat,
    /// A day or a time: due then or later.
    start_date: Option<String>,
    /// A day (which is within) or a time (before which).
    end_date: Option<String>,
    /// Whose days are meant; the user's own if it is left out.
    timezone: Option<String>,
    /// One or several with commas between: `scheduled,failed`.
    status: Option<String>,
    /// A channel's id.
    channel: Option<Uuid>,
    /// A tag's id.
    tag: Option<Uuid>,
    /// A user's id.
    author: Option<Uuid>,
    /// A series' id.
    series: Option<Uuid>,
    /// Through which door they came: `WEB`, `API`, `MCP` or `WORKER`.
    source: Option<String>,
    /// Anywhere in the texts, without regard to case.
    q: Option<String>,
}

impl From<ExportQuery> for PostsQuery {
    fn from(query: ExportQuery) -> Self {
        let ExportQuery { format: _, start_date, end_date, timezone, status, channel, tag, author, .. } =
            query;
        let ExportQuery { series, source, q, .. } = query;
        Self {
            start_date,
            end_date,
            timezone,
            status,
            channel,
            tag,
            author,
            series,
            source,
            q,
            ..Self::default()
        }
    }
}

/// A post as an import takes it, with what an export tells besides.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlainRow {
    pub id: Uuid,
    /// As a post's.
    pub status: &'static str,
    pub source: Option<String>,
    /// By name unless they were forgotten.
    pub author: String,
    pub created_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    pub post: PostBody,
}

impl From<PostView> for PlainRow {
    fn from(view: PostView) -> Self {
        // What is over is imported as a draft, and only what is ahead as what will be published.
        let kind = if view.status == "scheduled" { PostType::Schedule } else { PostType::Draft };
        Self {
            id: view.id,
            status: view.status,
            source: view.source.clone(),
            author: view.author.name.clone().unwrap_or_else(|| view.author.id.to_string()),
            created_at: view.created_at,
            post: PostBody {
                // Ids of tags mean nothing in another organization.
                tags: view.tags.iter().map(|tag| tag.name.clone()).collect(),
                ..PostBody::of(view, kind)
            },
        }
    }
}

/// Posts as a file, the oldest first, as they are read: CSV, a JSON array or a line of JSON per post. `POST
/// /posts/import` takes it.
#[utoipa::path(
    get, path = "/posts/export", tag = "posts", params(ExportQuery),
    responses((status = 200, description = "The posts", content(
        (String = "text/csv"), (Vec<PlainRow> = "application/json"), (PlainRow = "application/x-ndjson"),
    ))),
)]
pub(super) async fn export(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<ExportQuery>,
) -> ApiResult {
    let format = Format::from(query.format);
    let zone = times::zone(&state, caller.user_id, query.timezone.as_deref()).await?;
    let (filter, _) = PostsQuery::from(query).filter(&zone).map_err(ApiError::validation)?;
    posts::readers(&state, &caller).await?;
    let name = match format {
        Format::Csv => "posts.csv",
        Format::Json => "posts.json",
        Format::Lines => "posts.ndjson",
    };
    let state = AppState::clone(&state);
    let exporting = Exporting { state, caller, filter, format, after: None, stage: Stage::Begin };
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(chunks(exporting)))
}

/// An export under way.
struct Exporting {
    state: AppState,
    caller: Caller,
    filter: PostFilter,
    format: Format,
    /// The last post that was sent.
    after: Option<Seen>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    Rows,
    Over,
}

/// If the reading fails, or the caller may no longer read, the connection is cut: an answer that ends as it
/// should is whole.
fn chunks(exporting: Exporting) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::try_unfold(exporting, |mut exporting| async move {
        let chunk = exporting.chunk().await.map_err(|error| {
            tracing::warn!(%error, cause = error.cause.as_deref(), "posts were not exported to their end");
            std::io::Error::other(error.to_string())
        })?;
        Ok(chunk.map(|chunk| (Bytes::from(chunk), exporting)))
    })
}

impl Exporting {
    /// The next part of the file; none when it is whole.
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        if self.stage == Stage::Over {
            return Ok(None);
        }
        let mut chunk = if self.stage == Stage::Begin { self.head()? } else { Vec::new() };
        let now = self.caller.still(&self.state.edge).await?;
        now.require("post", "read")?;
        let (views, last) =
            posts::after(&self.state, &self.caller, &self.filter, self.after, PAGE_POSTS).await?;
        let is_first = self.after.is_none();
        let is_last = (views.len() as i64) < PAGE_POSTS;
        self.rows(views.into_iter().map(PlainRow::from).collect(), is_first, &mut chunk)?;
        if is_last && self.format == Format::Json {
            chunk.extend_from_slice(b"\n]\n");
        }
        (self.after, self.stage) = (last, if is_last { Stage::Over } else { Stage::Rows });
        // A file of nothing is no chunk: an empty one would end the body.
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
    }

    fn head(&self) -> Result<Vec<u8>, ApiError> {
        match self.format {
            Format::Csv => csv_lines([COLUMNS.iter().chain(&TOLD_COLUMNS)]),
            Format::Json => Ok(b"[".to_vec()),
            Format::Lines => Ok(Vec::new()),
        }
    }

    fn rows(&self, rows: Vec<PlainRow>, is_first: bool, chunk: &mut Vec<u8>) -> Result<(), ApiError> {
        let unwritable = |error: serde_json::Error| ApiError::internal(&error);
        if self.format == Format::Csv {
            let records: Result<Vec<_>, _> = rows.iter().map(record).collect();
            chunk.extend(csv_lines(records.map_err(unwritable)?)?);
            return Ok(());
        }
        for (nth, row) in rows.iter().enumerate() {
            if self.format == Format::Json {
                chunk.extend_from_slice(if is_first && nth == 0 { b"\n" } else { b",\n" });
            }
            serde_json::to_writer(&mut *chunk, row).map_err(unwritable)?;
            if self.format == Format::Lines {
                chunk.push(b'\n');
            }
        }
        Ok(())
    }
}

fn csv_lines<R, C>(records: impl IntoIterator<Item = R>) -> Result<Vec<u8>, ApiError>
where
    R: IntoIterator<Item = C>,
    C: AsRef<[u8]>,
{
    let mut lines = csv::Writer::from_writer(Vec::new());
    for record in records {
        lines.write_record(record).map_err(|error| ApiError::internal(&error))?;
    }
    lines.into_inner().map_err(|error| ApiError::internal(error.error()))
}
