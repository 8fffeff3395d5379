//! W3C Trace Context: a caller's trace goes on in ours.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes the span that `traceparent` names the parent of `span`. Without an exporter nothing happens.
pub(super) fn go_on(span: &tracing::Span, trace_parent: &str) {
    if let Some(parent) = parse(trace_parent) {
        span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

fn parse(trace_parent: &str) -> Option<SpanContext> {
    let mut parts = trace_parent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    Some(SpanContext::new(trace, span, TraceFlags::new(flags), true, TraceState::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_names_trace_span_and_whether_it_is_sampled() {
        let parent = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("is sound");
        assert_eq!(parent.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span_id().to_string(), "00f067aa0ba902b7");
        assert!(parent.is_sampled() && parent.is_remote());
    }
}
