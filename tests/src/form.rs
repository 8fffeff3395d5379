//! Forms with files, as browsers send them (RFC 7578).

use reqwest::Method;

use crate::{Answer, Api};

const BOUNDARY: &str = "----annals-tests";

/// One part of a form.
pub fn part(field: &str, name: &str, media_type: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
         Content-Type: {media_type}\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

/// A whole form.
pub fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), format!("--{BOUNDARY}--\r\n").into_bytes()].concat()
}

impl Api {
    /// Sends the body of a form, whole or not.
    pub async fn post_form(&self, path: &str, body: Vec<u8>) -> Answer {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        Self::send(self.request(Method::POST, path).header("content-type", kind).body(body)).await
    }

    /// Puts a file into the media library.
    pub async fn upload(&self, name: &str, media_type: &str, bytes: &[u8]) -> Answer {
        self.post_form("media/upload", form(&[part("file", name, media_type, bytes)])).await
    }
}
