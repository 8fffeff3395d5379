//! Where log lines, traces and errors go: stderr, and, when configured, an OpenTelemetry collector
//! and Sentry.

use std::{io::IsTerminal as _, sync::Arc};

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{Config, LogFormat};

/// Keeps the exporters alive; dropping it sends what they still hold.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    _sentry: Option<sentry::ClientInitGuard>,
}

/// Starts logging; once per process.
///
/// # Errors
/// If `log.filter`, `telemetry.otlp_endpoint` or `telemetry.sentry_dsn` is not understood.
pub fn start(config: &Config) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(&config.log.filter)
        .with_context(|| format!("log.filter: {:?} is not understood", config.log.filter))?;
    let is_text = match config.log.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if is_text {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    };
    let traces =
        config.telemetry.otlp_endpoint.as_ref().map(|url| exporter(config, url.as_str())).transpose()?;
    let sentry = config
        .telemetry
        .sentry_dsn
        .as_ref()
        .map(|dsn| {
            let dsn: sentry::types::Dsn =
                dsn.reveal().parse().map_err(|_| anyhow::anyhow!("telemetry.sentry_dsn is not a DSN"))?;
            // Bodies and addresses stay here: `send_default_pii` is off by default.
            let options = sentry::ClientOptions {
                dsn: Some(dsn),
                release: sentry::release_name!(),
                ..sentry::ClientOptions::default()
            };
            anyhow::Ok(sentry::init(options))
        })
        .transpose()?;
    let spans =
        traces.as_ref().map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("annals")));
    let errors = sentry.as_ref().map(|_| sentry::integrations::tracing::layer());
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(spans)
        .with(errors)
        .try_init()
        .context("logging was started twice")?;
    Ok(Telemetry { traces, _sentry: sentry })
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces
            && let Err(error) = traces.shutdown()
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

fn exporter(config: &Config, endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let inner = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .context("telemetry.otlp_endpoint can't be used")?;
    let exporter = OnRuntime { inner: Arc::new(inner), runtime: tokio::runtime::Handle::current() };
    let resource = Resource::builder().with_service_name(config.telemetry.service_name.clone()).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// Exports on our runtime: the batch processor's own thread has none, and the HTTP client needs one.
#[derive(Debug)]
struct OnRuntime {
    inner: Arc<opentelemetry_otlp::SpanExporter>,
    runtime: tokio::runtime::Handle,
}

impl SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let inner = Arc::clone(&self.inner);
        let export = self.runtime.spawn(async move { inner.export(batch).await });
        export.await.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Called once, before the first export holds a second reference.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.set_resource(resource);
        }
    }
}
