//! WebSockets (RFC 6455) to URLs that users name. The connection is made by the same guarded client as every
//! other call, and then spoken differently over.

use futures::{SinkExt, StreamExt};
use reqwest::{
    Method, StatusCode, Upgraded,
    header::{
        CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};
use url::Url;

use super::{
    client::{Deadline, HttpClient, HttpRequest},
    failure::NetError,
    policy::ForbiddenUrl,
};

/// Bytes of one message of theirs.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// An open connection for texts.
pub struct WebSocket {
    inner: WebSocketStream<Upgraded>,
}

impl HttpClient {
    /// Opens a WebSocket. `wss` is what `https` is to the policy, `ws` what `http` is. Redirects are not
    /// followed.
    ///
    /// # Errors
    /// If the policy forbids it, nobody listens, or who listens speaks no WebSocket.
    pub async fn websocket(&self, url: &Url, deadline: Deadline) -> Result<WebSocket, NetError> {
        let key = generate_key();
        let text = |text: &str| HeaderValue::from_str(text).expect("base64 and digits are a header's value");
        let headers: [(HeaderName, HeaderValue); 4] = [
            (CONNECTION, text("Upgrade")),
            (UPGRADE, text("websocket")),
            (SEC_WEBSOCKET_VERSION, text("13")),
            (SEC_WEBSOCKET_KEY, text(&key)),
        ];
        let request = HttpRequest {
            method: Method::GET,
            url: as_http(url)?,
            headers: HeaderMap::from_iter(headers),
            body: None,
            deadline,
        };
        let response = self.send_to_upgrade(&request).await?;
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let told = format!("answered {} and opened no WebSocket", response.status());
            return Err(NetError::NotReached(told.into()));
        }
        if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(NetError::NotReached("the WebSocket's handshake is wrong".into()));
        }
        let upgraded = tokio::time::timeout(deadline.remaining(), response.upgrade())
            .await
            .map_err(|_| NetError::OutOfTime)?
            .map_err(|error| NetError::NotReached(error.without_url().into()))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let inner = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        Ok(WebSocket { inner })
    }
}

impl WebSocket {
    /// Sends a text.
    ///
    /// # Errors
    /// If the connection breaks or the time is over: it may have arrived.
    pub async fn send(&mut self, text: String, deadline: Deadline) -> Result<(), NetError> {
        tokio::time::timeout(deadline.remaining(), self.inner.send(Message::text(text)))
            .await
            .map_err(|elapsed| NetError::Broken(elapsed.into()))?
            .map_err(|error| NetError::Broken(error.into()))
    }

    /// The next text; none when the other side has closed.
    ///
    /// # Errors
    /// If the connection breaks, the message is too large, or the time is over.
    pub async fn next(&mut self, deadline: Deadline) -> Result<Option<String>, NetError> {
        loop {
            let next = tokio::time::timeout(deadline.remaining(), self.inner.next())
                .await
                .map_err(|elapsed| NetError::Broken(elapsed.into()))?;
            match next {
                None | Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed)) => return Ok(None),
                Some(Ok(Message::Text(text))) => return Ok(Some(text.to_string())),
                // A ping is answered by the library.
                Some(Ok(_)) => {}
                Some(Err(Error::Capacity(_))) => {
                    return Err(NetError::TooLarge { bytes_max: MESSAGE_BYTES_MAX });
                }
                Some(Err(error)) => return Err(NetError::Broken(error.into())),
            }
        }
    }

    /// Says goodbye; whether it arrives is nobody's concern.
    pub async fn close(mut self, deadline: Deadline) {
        let _closed = tokio::time::timeout(deadline.remaining(), self.inner.close(None)).await;
    }
}

/// The address as the policy and the client know it.
fn as_http(url: &Url) -> Result<Url, NetError> {
    let scheme = match url.scheme() {
        "wss" => "https",
        "ws" => "http",
        _ => return Err(ForbiddenUrl::Scheme.into()),
    };
    let mut http = url.clone();
    http.set_scheme(scheme).map_err(|()| ForbiddenUrl::Scheme)?;
    Ok(http)
}

impl super::policy::OutboundPolicy {
    /// [`Self::check`] for the address of a WebSocket.
    ///
    /// # Errors
    /// [`ForbiddenUrl`], with `wss` where it would say `https`.
    pub fn check_websocket(&self, url: &Url) -> Result<(), ForbiddenUrl> {
        let scheme = |forbidden| match forbidden {
            ForbiddenUrl::Scheme => ForbiddenUrl::WebSocketScheme,
            other => other,
        };
        let http = as_http(url).map_err(|_| ForbiddenUrl::WebSocketScheme)?;
        self.check(&http).map_err(scheme)
    }
}
