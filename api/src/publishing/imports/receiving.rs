//! A file as it comes in: laid on the disk, looked through once, and then read chunk by chunk. Memory holds a few
//! chunks, however large the file is.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, http::StatusCode, web};
use annals_adapters::media::{SpoolError, Spooled};
use annals_domain::{
    kernel::TimeZone,
    publishing::import::{CHUNK_ROWS_MAX, ImportRow, ROWS_MAX, RowContent, RowPlan},
};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::reading::{self, Format, ROW_BYTES_MAX, Wanted};
use crate::{
    http::{ApiError, FieldError},
    state::AppState,
};

const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A sender that is silent for so long has gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Of the rows of one chunk together, unless one alone has more.
const CHUNK_BYTES_MAX: usize = ROW_BYTES_MAX;
/// Chunks that are read ahead.
const CHUNKS_AHEAD: usize = 2;

/// A whole file, until it is dropped.
pub(super) struct Received {
    file: Arc<Spooled>,
    format: Format,
    zone: TimeZone,
    pub(super) survey: Survey,
}

/// What is in a file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    pub(super) rows: u32,
    /// Whether a row asks for more than a draft.
    pub(super) publishes: bool,
}

impl Received {
    /// # Errors
    /// If it is too large, has no rows or too many, or is no such file.
    pub(super) async fn of(
        state: &AppState,
        request: &HttpRequest,
        mut payload: web::Payload,
        zone: TimeZone,
    ) -> Result<Self, ApiError> {
        let format = Format::of(request.headers()).ok_or_else(|| {
            ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                "the body must be sent as text/csv, application/json or application/x-ndjson",
            )
        })?;
        let mut spooling = state.media.spool().begin(FILE_BYTES_MAX).map_err(not_spooled)?;
        while let Some(bytes) =
            tokio::time::timeout(SILENCE_MAX, payload.next()).await.map_err(|_| too_slow())?
        {
            let bytes = bytes.map_err(|error| {
                ApiError::new(StatusCode::BAD_REQUEST, "BODY_CUT_OFF", "the file did not come in whole")
                    .caused_by(&error)
            })?;
            spooling.write(&bytes).await.map_err(not_spooled)?;
        }
        let file = Arc::new(spooling.finish().await.map_err(not_spooled)?);
        let survey = survey(Arc::clone(&file), format, zone.clone()).await?;
        Ok(Self { file, format, zone, survey })
    }

    pub(super) fn sha256(&self) -> &str {
        &self.file.sha256
    }

    /// Its rows, in order.
    pub(super) fn chunks(&self) -> Chunks {
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let (file, format, zone) = (Arc::clone(&self.file), self.format, self.zone.clone());
        tokio::task::spawn_blocking(move || {
            let mut chunk = Chunk::default();
            let read = reading::read(file.path(), format, &zone, |row| {
                let sent = chunk.add(row).is_none_or(|rows| sender.blocking_send(Ok(rows)).is_ok());
                // Whoever reads may have gone.
                if sent { Wanted::More } else { Wanted::NoMore }
            });
            let last = match read {
                Ok(()) if chunk.rows.is_empty() => return,
                Ok(()) => Ok(chunk.rows),
                Err(error) => Err(error),
            };
            // If nobody is there any more, nobody misses it.
            drop(sender.blocking_send(last));
        });
        Chunks(receiver)
    }
}

/// Looks through the whole file before anything comes of it.
async fn survey(file: Arc<Spooled>, format: Format, zone: TimeZone) -> Result<Survey, ApiError> {
    let looked = tokio::task::spawn_blocking(move || {
        let mut survey = Survey::default();
        let read = reading::read(file.path(), format, &zone, |row| {
            survey.rows += 1;
            survey.publishes |=
                matches!(row.content, RowContent::Post { plan: RowPlan::Schedule { .. }, .. });
            if survey.rows > ROWS_MAX { Wanted::NoMore } else { Wanted::More }
        });
        read.map(|()| survey)
    });
    let survey = looked.await.map_err(|error| ApiError::internal(&error))??;
    match survey.rows {
        0 => Err(ApiError::field("rows", "must be at least one")),
        rows if rows > ROWS_MAX => Err(ApiError::field("rows", format!("must be at most {ROWS_MAX}"))),
        _ => Ok(survey),
    }
}

/// The rows of a file, a chunk at a time.
pub(super) struct Chunks(mpsc::Receiver<Result<Vec<ImportRow>, ApiError>>);

impl Chunks {
    pub(super) async fn next(&mut self) -> Result<Option<Vec<ImportRow>>, ApiError> {
        self.0.recv().await.transpose()
    }
}

/// Rows until there are enough for an event.
#[derive(Default)]
struct Chunk {
    rows: Vec<ImportRow>,
    bytes: usize,
}

impl Chunk {
    /// The rows before this one, if it does not fit any more.
    fn add(&mut self, row: ImportRow) -> Option<Vec<ImportRow>> {
        let bytes = serde_json::to_vec(&row).map_or(0, |row| row.len());
        let is_full = self.rows.len() == CHUNK_ROWS_MAX
            || (!self.rows.is_empty() && self.bytes + bytes > CHUNK_BYTES_MAX);
        let full = is_full.then(|| std::mem::take(&mut self.rows));
        self.bytes = if is_full { bytes } else { self.bytes + bytes };
        self.rows.push(row);
        full
    }
}

fn too_slow() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "BODY_TOO_SLOW",
        "the file did not go on coming in; nothing was kept",
    )
}

fn not_spooled(error: SpoolError) -> ApiError {
    match error {
        SpoolError::TooLarge { .. } => {
            let message = error.to_string();
            ApiError {
                errors: vec![FieldError { field: "body".to_string(), message: message.clone() }],
                ..ApiError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "FILE_TOO_LARGE",
                    format!("the file {message}"),
                )
            }
        }
        SpoolError::Disk(cause) => {
            ApiError::unavailable("there is no room to take the file in; try again later", 30)
                .caused_by(&cause)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_so_many_rows_and_bytes() {
        let row = |number| ImportRow { number, content: RowContent::Unusable { problems: Vec::new() } };
        let mut chunk = Chunk::default();
        let full: Vec<_> = (1..=250).filter_map(|number| chunk.add(row(number))).collect();
        assert_eq!(full.iter().map(Vec::len).collect::<Vec<_>>(), [CHUNK_ROWS_MAX, CHUNK_ROWS_MAX]);
        assert_eq!((chunk.rows.len(), chunk.rows[0].number), (50, 201));
        chunk.bytes = CHUNK_BYTES_MAX;
        assert_eq!(chunk.add(row(251)).map(|rows| rows.len()), Some(50));
    }
}
