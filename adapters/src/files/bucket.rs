//! S3 and what speaks like it, over the program's own HTTP client.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::{
    ClientOptions, ObjectStore,
    aws::AmazonS3Builder,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
        HttpService,
    },
    path::Path,
};
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Without a byte for so long, an answer is given up; the store tries again a few times by itself.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A bucket by its address, with what the environment says of it.
pub(crate) fn open(url: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
    let client = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(SILENCE_MAX);
    let client = client
        .build()
        .map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?;
    let store =
        AmazonS3Builder::from_env().with_url(url.as_str()).with_http_connector(Reqwest(client)).build()?;
    Ok(Arc::new(store))
}

/// What stands before every key in it.
pub(crate) fn prefix_of(url: &Url) -> Result<Path, object_store::path::Error> {
    Path::parse(url.path().trim_matches('/'))
}

/// Our own HTTP client under the store: one TLS for all of the program.
#[derive(Debug)]
struct Reqwest(reqwest::Client);

impl HttpConnector for Reqwest {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self(self.0.clone())))
    }
}

#[async_trait]
impl HttpService for Reqwest {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let sent = self
            .0
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body)
            .send()
            .await
            .map_err(failure)?;
        let (status, headers) = (sent.status(), sent.headers().clone());
        // As it comes: a file may be larger than what we want to hold.
        let body = HttpResponseBody::new(reqwest::Body::from(sent).map_err(failure));
        let mut response = HttpResponse::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

fn failure(error: reqwest::Error) -> HttpError {
    let kind = match () {
        () if error.is_timeout() => HttpErrorKind::Timeout,
        () if error.is_connect() => HttpErrorKind::Connect,
        () => HttpErrorKind::Request,
    };
    HttpError::new(kind, error)
}
