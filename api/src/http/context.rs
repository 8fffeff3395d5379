//! From a request's headers to what the bus wants to know: request id, trace, client, key, `If-Match`.

use std::net::IpAddr;

use actix_web::{
    dev::RequestHead,
    http::header::{self, HeaderMap},
};
use annals_commands::bus::{Context, IdempotencyKey};
use annals_eventstore::{Actor, ActorKind, ClientInfo, Source};
use ipnet::IpNet;
use uuid::Uuid;

use super::{
    answer::ApiError,
    observe,
    routes::{RouteInfo, Side},
};

/// Characters of an idempotency key.
const KEY_CHARS_MAX: usize = 255;
/// Characters of a user agent that are kept.
const USER_AGENT_CHARS_MAX: usize = 512;

/// Who acts, before there is a context for it.
pub(super) struct Acting {
    pub(super) actor: Actor,
    pub(super) organization_id: Option<Uuid>,
    pub(super) source: Source,
    /// Whose personal data the client's address is.
    pub(super) subject: Option<String>,
}

impl Acting {
    pub(super) fn nobody() -> Self {
        Self {
            actor: Actor { kind: ActorKind::Anonymous, id: None },
            organization_id: None,
            source: Source::Web,
            subject: None,
        }
    }
}

/// The context of a command or query. The body is not read yet: what `idempotency.request` still
/// lacks is appended when it is.
///
/// # Errors
/// 400 for an idempotency key or an `If-Match` that is not well-formed. Queries have no use for either.
pub(super) fn build(
    head: &RequestHead,
    route: &RouteInfo,
    client_ip: Option<IpAddr>,
    acting: Acting,
) -> Result<Context, ApiError> {
    let headers = &head.headers;
    let is_command = route.side == Side::Command;
    let scope = scope(&acting.actor, acting.organization_id, route);
    let key = if is_command { idempotency_key(headers)? } else { None };
    let idempotency = key.map(|key| IdempotencyKey { scope, key, request: request_line(head) });
    let user_agent = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .map(|text| text.chars().take(USER_AGENT_CHARS_MAX).collect());
    Ok(Context {
        request_id: Some(observe::request_id()),
        trace_parent: trace_parent(headers),
        client: Some(ClientInfo { ip: client_ip.map(|ip| ip.to_string()), user_agent }),
        client_subject: acting.subject,
        idempotency,
        expected_version: if is_command { if_match(headers)? } else { None },
        ..Context::new(acting.actor, acting.organization_id, acting.source)
    })
}

/// Within what an idempotency key means one thing.
pub(super) fn scope(actor: &Actor, organization_id: Option<Uuid>, route: &RouteInfo) -> String {
    scope_of(actor, organization_id).unwrap_or_else(|| format!("route:{} {}", route.method, route.path))
}

/// The same of somebody who is known.
fn scope_of(actor: &Actor, organization_id: Option<Uuid>) -> Option<String> {
    let id = actor.id.as_ref()?;
    Some(match organization_id {
        Some(organization) => format!("{}:{id}@{organization}", kind(actor.kind)),
        None => format!("{}:{id}", kind(actor.kind)),
    })
}

/// A key that came in the body, for what no header can be sent with. `request` is what must be the same
/// for the key to be used twice.
///
/// # Errors
/// 400 for a key that is not well-formed.
pub(super) fn keyed(
    context: &Context,
    key: &str,
    request: Vec<u8>,
) -> Result<Option<IdempotencyKey>, ApiError> {
    let key = checked_key(key).ok_or_else(|| ApiError::field("idempotencyKey", key_rule()))?;
    let scope = scope_of(&context.actor, context.organization_id);
    Ok(scope.map(|scope| IdempotencyKey { scope, key, request }))
}

fn kind(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::User => "user",
        ActorKind::ApiKey => "api-key",
        ActorKind::Process => "process",
        ActorKind::Operator => "operator",
        ActorKind::Anonymous => "anonymous",
    }
}

/// What must be the same, with the body that follows it, for a key to be used twice.
pub(super) fn request_line(head: &RequestHead) -> Vec<u8> {
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    format!("{} {path}\n", head.method).into_bytes()
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().and_then(checked_key);
    key.map(Some).ok_or_else(|| ApiError::field("Idempotency-Key", key_rule()))
}

fn checked_key(key: &str) -> Option<String> {
    let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    (is_visible && (1..=KEY_CHARS_MAX).contains(&key.len())).then(|| key.to_string())
}

fn key_rule() -> String {
    format!("must have 1 to {KEY_CHARS_MAX} visible ASCII characters")
}

/// `"7"` is version 7, `*` is any. A weak tag never matches in `If-Match` (RFC 9110, 13.1.1).
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let value = value.to_str().unwrap_or_default().trim();
    if value == "*" {
        return Ok(None);
    }
    value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .and_then(|version| version.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            ApiError::field("If-Match", "must be the ETag of an earlier answer, such as \"7\", or *")
        })
}

/// `traceparent`, if it is well-formed (W3C Trace Context, version 00).
pub(super) fn trace_parent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    let parts: Vec<&str> = value.split('-').collect();
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let [version, trace, span, flags] = parts[..] else { return None };
    let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let is_sound = version == "00"
        && is_hex(trace, 32)
        && is_hex(span, 16)
        && is_hex(flags, 2)
        && !is_zero(trace)
        && !is_zero(span);
    is_sound.then(|| value.to_string())
}

/// A request id that a caller chose, if it is short and harmless in a log.
pub(super) fn given_request_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-request-id")?.to_str().ok()?;
    let is_sane = (1..=128).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    is_sane.then(|| value.to_string())
}

/// Who is at the other end: the peer, or whom configured proxies forwarded for.
///
/// `X-Forwarded-For` is read from the right, each proxy vouching for the address before it, until
/// one is not a proxy of ours. What stands left of that, the caller may have invented.
pub(super) fn client_ip(head: &RequestHead, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut client = head.peer_addr?.ip().to_canonical();
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    let forwarded = head.headers.get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let forwarded: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in forwarded.iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        let Some(ip) = parse_hop(hop) else { break };
        client = ip;
    }
    Some(client)
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    hop.parse::<IpAddr>()
        .or_else(|_| hop.parse::<std::net::SocketAddr>().map(|address| address.ip()))
        .or_else(|_| hop.trim_matches(['[', ']']).parse())
        .ok()
        .map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn ip_of(peer: &str, forwarded: &str, trusted: &[&str]) -> String {
        let request = TestRequest::default()
            .peer_addr(format!("{peer}:1").parse().expect("an address"))
            .insert_header(("x-forwarded-for", forwarded))
            .to_http_request();
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().expect("a net")).collect();
        client_ip(request.head(), &trusted).expect("there is a peer").to_string()
    }

    #[test]
    fn a_forwarded_address_counts_only_from_a_configured_proxy() {
        assert_eq!(ip_of("198.51.100.9", "203.0.113.7", &[]), "198.51.100.9");
        assert_eq!(ip_of("10.0.0.2", "203.0.113.7", &["10.0.0.0/8"]), "203.0.113.7");
        assert_eq!(ip_of("10.0.0.2", "1.2.3.4, 203.0.113.7, 10.0.0.3", &["10.0.0.0/8"]), "203.0.113.7");
        assert_eq!(ip_of("10.0.0.2", "203.0.113.7, rubbish", &["10.0.0.0/8"]), "10.0.0.2");
        assert_eq!(ip_of("10.0.0.2", "203.0.113.7:4711", &["10.0.0.0/8"]), "203.0.113.7");
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        TestRequest::default().insert_header((name, value)).to_http_request().headers().clone()
    }

    #[test]
    fn if_match_is_a_strong_tag_of_a_version_or_a_star() {
        assert_eq!(if_match(&headers("if-match", "\"7\"")).expect("fine"), Some(7));
        assert_eq!(if_match(&headers("if-match", "*")).expect("fine"), None);
        assert_eq!(if_match(&HeaderMap::new()).expect("fine"), None);
        for wrong in ["7", "W/\"7\"", "\"seven\"", "\"\"", "\"7\", \"8\"", "\"-1\""] {
            assert!(if_match(&headers("if-match", wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_idempotency_key_has_1_to_255_visible_characters() {
        let long = "k".repeat(255);
        assert_eq!(idempotency_key(&headers("idempotency-key", &long)).expect("fine"), Some(long.clone()));
        for wrong in ["", "a b", &format!("{long}k"), "ключ"] {
            assert!(idempotency_key(&headers("idempotency-key", wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_of_callers_are_taken_only_if_well_formed() {
        assert_eq!(given_request_id(&headers("x-request-id", "abc-1")), Some("abc-1".into()));
        assert_eq!(given_request_id(&headers("x-request-id", "a b")), None);
        assert_eq!(given_request_id(&headers("x-request-id", &"x".repeat(129))), None);
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_parent(&headers("traceparent", good)), Some(good.into()));
        for wrong in ["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-0-0-01", "x"] {
            assert_eq!(trace_parent(&headers("traceparent", wrong)), None);
        }
    }
}
