//! Checkpoints in an object store (S3 and what speaks like it), one object each, never written over.
//!
//! The key is the size with leading zeros, so that a listing is in order. An object that is there with
//! another text is not passed over: somebody signed two pasts.

use std::{sync::Arc, time::Duration};

use annals_commands::ports::checkpoints::{CheckpointPublisher, NotPublished, SignedCheckpoint};
use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::{
    ClientOptions, Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    aws::AmazonS3Builder,
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
    path::Path,
};
use url::Url;

/// One request; the store tries again a few times by itself.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Puts each checkpoint into a bucket.
#[derive(Debug)]
pub struct CheckpointBucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    place: String,
}

impl CheckpointBucket {
    /// `s3://bucket/path`; credentials, region and endpoint come from the environment (`AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP`).
    ///
    /// # Errors
    /// In words, if the address or the environment is not understood.
    pub fn open(url: &Url) -> Result<Self, NotPublished> {
        let store = AmazonS3Builder::from_env()
            .with_url(url.as_str())
            .with_http_connector(Reqwest(reqwest::Client::new()))
            .build()
            .map_err(|error| NotPublished(format!("{url}: {error}")))?;
        let prefix = Path::parse(url.path().trim_matches('/'))
            .map_err(|error| NotPublished(format!("{url}: {error}")))?;
        Ok(Self { store: Arc::new(store), prefix, place: format!("object store {url}") })
    }

    fn key(&self, checkpoint: &SignedCheckpoint) -> Path {
        self.prefix.clone().join(format!("{:020}.checkpoint", checkpoint.size))
    }
}

#[async_trait]
impl CheckpointPublisher for CheckpointBucket {
    fn place(&self) -> &str {
        &self.place
    }

    async fn publish(&self, checkpoint: &SignedCheckpoint) -> Result<(), NotPublished> {
        let key = self.key(checkpoint);
        let failed = |error: Error| NotPublished(format!("{key}: {error}"));
        let payload = PutPayload::from(checkpoint.note.clone().into_bytes());
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&key, payload, options).await {
            Ok(_) => Ok(()),
            Err(Error::AlreadyExists { .. }) => {
                let there = self.store.get(&key).await.map_err(failed)?.bytes().await.map_err(failed)?;
                if there == checkpoint.note.as_bytes() {
                    return Ok(());
                }
                Err(NotPublished(format!("{key} is there and is another checkpoint: it is left as it is")))
            }
            Err(error) => Err(failed(error)),
        }
    }
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
            .timeout(TIMEOUT)
            .send()
            .await
            .map_err(failure)?;
        let (status, headers) = (sent.status(), sent.headers().clone());
        let body = sent.bytes().await.map_err(failure)?;
        let mut response = HttpResponse::new(body.into());
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
