//! As much of a browser as a sign-in needs: cookies, and redirects that are followed one by one.

use std::collections::{BTreeMap, HashMap};

use reqwest::{
    StatusCode,
    header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE},
};
use url::Url;

/// What a browser shows.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Where it leads, resolved.
    pub(crate) location: Option<Url>,
}

/// A person's browser; `program` asks for JSON, as a script does.
#[derive(Clone)]
pub(crate) struct Browser {
    http: reqwest::Client,
    accept: &'static str,
    /// By origin, and by their names.
    pub(crate) cookies: HashMap<String, BTreeMap<String, String>>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self {
            http: http.build().expect("a client needs nothing"),
            accept: "text/html,application/xhtml+xml",
            cookies: HashMap::new(),
        }
    }

    pub(crate) fn program() -> Self {
        Self { accept: "application/json", ..Self::new() }
    }

    pub(crate) async fn get(&mut self, url: &str) -> Page {
        let request = self.http.get(url);
        self.send(url, request).await
    }

    pub(crate) async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Page {
        let request = self.http.post(url).form(form);
        self.send(url, request).await
    }

    pub(crate) async fn post_json(
        &mut self,
        url: &str,
        token: Option<&str>,
        body: serde_json::Value,
    ) -> Page {
        let request = self.http.post(url).json(&body);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        self.send(url, request).await
    }

    async fn send(&mut self, url: &str, request: reqwest::RequestBuilder) -> Page {
        let url: Url = url.parse().expect("is a URL");
        let jar = self.cookies.entry(url.origin().ascii_serialization()).or_default();
        let sent: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header(reqwest::header::ACCEPT, self.accept);
        let request = if sent.is_empty() { request } else { request.header(COOKIE, sent.join("; ")) };
        let response = request.send().await.expect("the server answers");
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().expect("is text");
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').expect("has a name");
            if attributes.contains("Max-Age=0") || value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.to_string(), value.to_string());
            }
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let location = headers.get(LOCATION).map(|to| to.to_str().expect("is text"));
        let location = location.map(|to| url.join(to).expect("is a URL"));
        Page { status, headers, location, text: response.text().await.expect("can be read") }
    }
}

impl Page {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// The code of a refusal in JSON with this status.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> String {
        let page = self.expect(status);
        page.json()["code"].as_str().expect("an error has a code").to_string()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("is no JSON: {}", self.text))
    }

    #[track_caller]
    pub(crate) fn leads_to(&self) -> Url {
        self.location.clone().unwrap_or_else(|| panic!("{} leads nowhere: {}", self.status, self.text))
    }
}
