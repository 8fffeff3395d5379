//! Calling the API, and reading its envelope.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

/// A client of one server, with or without a token.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    token: Option<String>,
    headers: Vec<(String, String)>,
    client: reqwest::Client,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// `null` if the body is not JSON.
    pub body: Value,
}

/// A registered person with their organization.
#[derive(Clone, Debug)]
pub struct Account {
    pub api: Api,
    pub email: String,
    pub password: String,
    pub user_id: String,
    pub organization_id: String,
    pub refresh_token: String,
}

/// The password of every account that [`Api::register`] makes.
pub const PASSWORD: &str = "correct horse battery staple";

impl Api {
    pub fn new(base: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self {
            base: base.to_string(),
            token: None,
            headers: Vec::new(),
            client: client.build().expect("a client needs nothing"),
        }
    }

    /// The same with this token (or API key).
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_string()), ..self.clone() }
    }

    /// The same with a header on every call.
    #[must_use]
    pub fn with_header(&self, name: &str, value: impl ToString) -> Self {
        let mut api = self.clone();
        api.headers.push((name.to_string(), value.to_string()));
        api
    }

    /// The same at another node.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_string(), ..self.clone() }
    }

    /// A request under `/api/v1` (`posts`), or at the server's root if the path starts with `/`.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = match path.strip_prefix('/') {
            Some(path) => format!("{}/{path}", self.base),
            None => format!("{}/api/v1/{path}", self.base),
        };
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    pub async fn send(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("the server answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("the answer can be read");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Self::send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Self::send(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Self::send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        Self::send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        Self::send(self.request(Method::PATCH, path).json(&body)).await
    }

    /// Registers somebody new and signs them in.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn register(&self, name: &str) -> Account {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let slug: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let email = format!("{}{number}@example.org", slug.to_lowercase());
        let answer = self
            .post("auth/register", json!({"email": email, "password": PASSWORD, "name": name}))
            .await
            .expect(StatusCode::CREATED);
        self.account(&email, &answer)
    }

    /// Signs in.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn login(&self, email: &str, password: &str) -> Account {
        let answer = self.post("auth/login", json!({"email": email, "password": password})).await;
        self.account(email, &answer.expect(StatusCode::OK))
    }

    fn account(&self, email: &str, answer: &Answer) -> Account {
        let text = |pointer: &str| answer.at(pointer).as_str().unwrap_or_default().to_string();
        Account {
            api: self.with_token(&text("/data/accessToken")),
            email: email.to_string(),
            password: PASSWORD.to_string(),
            user_id: text("/data/user/id"),
            organization_id: text("/data/organization/id"),
            refresh_token: text("/data/refreshToken"),
        }
    }
}

impl Account {
    /// Somebody else in this account's organization, with this role.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn member(&self, role: &str) -> Api {
        let email = format!("{role}@{}.example.org", self.organization_id);
        let path = format!("agencies/{}/invite", self.organization_id);
        let invited = self.api.post(&path, json!({"email": email, "role": role})).await;
        let token = invited.expect(StatusCode::CREATED).text_at("/data/token");
        let nobody = Api { token: None, ..self.api.clone() };
        let body = json!({"email": email, "password": PASSWORD, "name": role});
        let registered = nobody.post("auth/register", body).await.expect(StatusCode::CREATED);
        let api = nobody.with_token(&registered.text_at("/data/accessToken"));
        api.post("agencies/invitations/accept", json!({"token": token})).await.expect(StatusCode::OK);
        let path = format!("agencies/{}/switch", self.organization_id);
        let switched = api.post(&path, json!({})).await.expect(StatusCode::OK);
        nobody.with_token(&switched.text_at("/data/accessToken"))
    }
}

impl Answer {
    /// This answer, if it has the status.
    ///
    /// # Panics
    /// If it has another, with the whole answer.
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// This answer, if it is an error with this status that names this field.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn expect_field(self, status: StatusCode, field: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        let named =
            self.at("/errors").as_array().is_some_and(|errors| errors.iter().any(|e| e["field"] == field));
        assert!(named, "no error names {field}: {}", self.text);
        self
    }

    /// A part of the body by JSON pointer (RFC 6901): `/data/id`. `null` if it is not there.
    pub fn at(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// The same as text.
    ///
    /// # Panics
    /// If it is not there or no text.
    #[track_caller]
    pub fn text_at(&self, pointer: &str) -> String {
        let text = self.at(pointer).as_str();
        text.unwrap_or_else(|| panic!("{pointer} is no text in {}", self.text)).to_string()
    }

    /// The position that a command answered with.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn position(&self) -> u64 {
        self.at("/meta/position").as_u64().unwrap_or_else(|| panic!("no position in {}", self.text))
    }
}
