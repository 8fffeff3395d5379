//! A defence for the one thing that a browser sends by itself: the refresh cookie.
//!
//! The cookie is `SameSite=Strict` and `HttpOnly`; this is the second lock, for browsers and
//! sibling domains that the first one does not stop.

use actix_web::{HttpRequest, http::StatusCode, http::header};

use super::{answer::ApiError, config::HttpConfig};

/// For a handler that acts on a cookie: the request carries `X-Requested-With` (which no form and
/// no foreign script can add without a CORS preflight) and, if it names an origin, one of ours.
///
/// # Errors
/// 403 `CSRF`.
pub fn check(request: &HttpRequest, config: &HttpConfig) -> Result<(), ApiError> {
    let refuse = |message: &str| Err(ApiError::new(StatusCode::FORBIDDEN, "CSRF", message));
    let headers = request.headers();
    if !headers.contains_key("x-requested-with") {
        return refuse("send the header X-Requested-With with a request that relies on a cookie");
    }
    if let Some(origin) = headers.get(header::ORIGIN)
        && !origin.to_str().is_ok_and(|origin| config.allows_origin(origin))
    {
        return refuse("this origin is not one of those configured");
    }
    let is_cross_site = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if is_cross_site && !headers.contains_key(header::ORIGIN) {
        return refuse("a request from another site must name its origin");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn status(headers: &[(&'static str, &'static str)]) -> u16 {
        let config = HttpConfig {
            allowed_origins: vec!["https://app.example.org".into()],
            ..HttpConfig::new("http://127.0.0.1:3000".parse().expect("a URL"))
        };
        let request =
            headers.iter().fold(TestRequest::default(), |request, header| request.insert_header(*header));
        check(&request.to_http_request(), &config).map_or_else(|error| error.status.as_u16(), |()| 200)
    }

    #[test]
    fn a_cookie_counts_only_with_the_header_and_from_our_origins() {
        let ajax = ("x-requested-with", "fetch");
        assert_eq!(status(&[]), 403);
        assert_eq!(status(&[ajax]), 200);
        assert_eq!(status(&[ajax, ("origin", "http://127.0.0.1:3000")]), 200);
        assert_eq!(status(&[ajax, ("origin", "https://app.example.org")]), 200);
        assert_eq!(status(&[ajax, ("origin", "https://evil.example")]), 403);
        assert_eq!(status(&[ajax, ("origin", "null")]), 403);
        assert_eq!(status(&[ajax, ("sec-fetch-site", "cross-site")]), 403);
    }
}
