//! Is it alive, is it ready, how is it doing: `/health/live`, `/health/ready`, `/metrics`.

mod recorder;
mod watch;

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, http::header, web};
use annals_projections::Applied;
use serde::Serialize;

pub use recorder::recorder;
pub use watch::watch;

use crate::{
    http::{Answer, ApiError, ApiResult, Routes},
    read_models,
    state::AppState,
};

/// A check that takes longer than this has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

pub fn system(routes: &mut Routes) {
    routes.system("/health/live", live);
    routes.system("/health/ready", ready);
    routes.system("/metrics", metrics_text);
}

/// The process answers: a supervisor restarts it when this does not.
#[utoipa::path(get, path = "/health/live", tag = "system", responses((status = 200, description = "Alive")))]
pub(crate) async fn live() -> ApiResult {
    Answer::ok(serde_json::json!({"status": "alive"})).respond()
}

/// What readiness is made of.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Readiness {
    /// `ready` or `not ready`.
    pub status: &'static str,
    pub database: Check,
    /// The log's tables.
    pub migrations: Check,
    /// Of a node that serves queries: every read model was built.
    pub projections: Vec<ProjectionCheck>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    pub ok: bool,
    pub detail: String,
    pub duration_ms: f64,
}

#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionCheck {
    pub name: String,
    pub ok: bool,
    pub position: u64,
    /// How many positions it is behind the log's head.
    pub lag: u64,
    pub parked_keys: u64,
}

/// The database answers, the log's tables are there, the read models are built: send traffic.
#[utoipa::path(get, path = "/health/ready", tag = "system", responses(
    (status = 200, description = "Ready", body = crate::http::answer::Success<Readiness>),
    (status = 503, description = "Not ready; `data` says what is missing"),
))]
pub(crate) async fn ready(state: web::Data<AppState>) -> ApiResult {
    let database =
        check(sqlx::query("SELECT 1").execute(state.reader.pool()), |_| "answers".to_string()).await;
    let migrations = check(
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM _sqlx_migrations WHERE success")
            .fetch_one(state.bus.store().pool()),
        |applied| format!("{applied} applied"),
    )
    .await;
    let (projections, failed) = match tokio::time::timeout(CHECK_TIMEOUT, state.reader.applied()).await {
        Ok(Ok(applied)) => (projections(&applied, read_models::SHAPES), None),
        Ok(Err(error)) => (Vec::new(), Some(error.to_string())),
        Err(_) => (Vec::new(), Some("took too long".to_string())),
    };
    let are_built = !state.config.roles.queries || (failed.is_none() && projections.iter().all(|one| one.ok));
    let is_ready = database.ok && migrations.ok && are_built;
    let status = if is_ready { "ready" } else { "not ready" };
    let readiness = Readiness { status, database, migrations, projections };
    if is_ready {
        return Answer::ok(readiness).respond();
    }
    let error =
        ApiError { code: "NOT_READY", ..ApiError::unavailable("not ready; data says what is missing", 1) };
    let body = NotReady { failure: error.body(), data: readiness };
    Ok(HttpResponse::build(error.status).insert_header((header::RETRY_AFTER, "1")).json(body))
}

/// The error envelope with what is missing.
#[derive(Serialize)]
struct NotReady {
    #[serde(flatten)]
    failure: crate::http::answer::Failure,
    data: Readiness,
}

async fn check<T>(
    question: impl Future<Output = Result<T, sqlx::Error>>,
    words: impl FnOnce(T) -> String,
) -> Check {
    let started = Instant::now();
    let (ok, detail) = match tokio::time::timeout(CHECK_TIMEOUT, question).await {
        Ok(Ok(answer)) => (true, words(answer)),
        Ok(Err(_)) => (false, "does not answer".to_string()),
        Err(_) => (false, "took too long".to_string()),
    };
    Check { ok, detail, duration_ms: started.elapsed().as_secs_f64() * 1000.0 }
}

/// A read model is ready when the shape that this program reads is live, whatever builds beside it.
fn projections(applied: &[Applied], shapes: &[(&str, u32)]) -> Vec<ProjectionCheck> {
    let check = |(name, version): &(&str, u32)| {
        let of_shape = applied.iter().filter(|one| one.name == *name && one.version == *version);
        let live = of_shape.clone().find(|one| one.state == "live");
        let furthest = live.or_else(|| of_shape.max_by_key(|one| one.position));
        ProjectionCheck {
            name: (*name).to_string(),
            ok: live.is_some(),
            position: furthest.map_or(0, |one| one.position),
            lag: furthest.map_or(0, |one| one.head.saturating_sub(one.position)),
            parked_keys: furthest.map_or(0, |one| one.parked_keys),
        }
    };
    shapes.iter().map(check).collect()
}

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "system", responses(
    (status = 200, description = "Metrics in Prometheus' text format", content_type = "text/plain"),
))]
pub(crate) async fn metrics_text(state: web::Data<AppState>) -> ApiResult {
    for (name, pool) in [("log", state.bus.store().pool()), ("reads", state.reader.pool())] {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        let used = pool.size().saturating_sub(idle);
        for (use_of, count) in [("idle", idle), ("used", used)] {
            metrics::gauge!("annals_pool_connections", "pool" => name, "state" => use_of)
                .set(f64::from(count));
        }
    }
    let text = recorder().render();
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(name: &str, version: u32, state: &str, position: u64) -> Applied {
        Applied {
            name: name.into(),
            version,
            generation: 1,
            position,
            head: 10,
            state: state.into(),
            parked_keys: 0,
        }
    }

    #[test]
    fn a_read_model_is_ready_when_the_shape_that_is_read_is_live() {
        let applied = [
            applied("posts", 1, "building", 3),
            applied("posts", 1, "live", 9),
            applied("people", 1, "live", 10),
            applied("people", 2, "building", 4),
        ];
        let shapes = [("posts", 1), ("people", 2), ("tags", 1)];
        let checks = projections(&applied, &shapes);
        let told: Vec<_> = checks.iter().map(|check| (check.name.as_str(), check.ok, check.lag)).collect();
        assert_eq!(told, [("posts", true, 1), ("people", false, 6), ("tags", false, 0)]);
    }
}
