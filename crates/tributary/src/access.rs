//! Who may ask `up`. On loopback: programs of this machine, and pages that it served itself; a web page from elsewhere in
//! somebody's browser reaches loopback, too, and must neither post reports nor read risks. Elsewhere: who has a token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde_json::json;
use tributary_ingest::grant::Grants;

/// Whether somebody may come in is decided from this and the request's headers alone.
pub struct Access {
    /// Tokens.
    pub grants: Arc<Grants>,
    /// Only this machine can connect: then a foreign `Host` or `Origin` is a browser that was led here.
    pub is_loopback: bool,
    /// Names under which a proxy in front of loopback is known, besides the local ones.
    pub hosts: Vec<String>,
}

/// Why somebody may not.
#[derive(Debug, PartialEq, Eq)]
enum Denied {
    Foreign(&'static str),
    NoToken,
}

/// The middleware for everything that is served.
pub async fn foreigners(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    match access.is_local(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(denied) => denied.into_response(),
    }
}

/// The middleware for what is read; the intake asks for tokens itself, because grants hang on them.
pub async fn readers(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let is_probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    if !is_probe && let Err(denied) = access.has_token(request.headers()) {
        return denied.into_response();
    }
    next.run(request).await
}

impl Access {
    fn is_local(&self, method: &Method, headers: &HeaderMap) -> Result<(), Denied> {
        if !self.is_loopback {
            return Ok(());
        }
        let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        if text(header::HOST).is_some_and(|host| !self.knows(host)) {
            return Err(Denied::Foreign("Host"));
        }
        let of_origin = |origin: &str| origin.split_once("://").is_some_and(|(_, host)| self.knows(host));
        if text(header::ORIGIN).is_some_and(|origin| !of_origin(origin)) {
            return Err(Denied::Foreign("Origin"));
        }
        let fetch = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // A link to the page may be followed from anywhere: the page that had it learns nothing.
        let is_visit = method == Method::GET && fetch("sec-fetch-mode") == Some("navigate");
        if fetch("sec-fetch-site") == Some("cross-site") && !is_visit {
            return Err(Denied::Foreign("Sec-Fetch-Site"));
        }
        Ok(())
    }

    fn knows(&self, authority: &str) -> bool {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// `Authorization: Bearer TOKEN`, or what a browser asks its user for: any name, the token as password.
    fn has_token(&self, headers: &HeaderMap) -> Result<(), Denied> {
        if self.is_loopback && !self.grants.wants_token() {
            return Ok(());
        }
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, given) = value.and_then(|value| value.split_once(' ')).ok_or(Denied::NoToken)?;
        let token = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(given.trim().to_owned()),
            "basic" => base64::engine::general_purpose::STANDARD
                .decode(given.trim())
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .and_then(|pair| Some(pair.split_once(':')?.1.to_owned())),
            _ => None,
        };
        let is_known = token.is_some_and(|token| self.grants.credential(&token).is_some());
        if is_known { Ok(()) } else { Err(Denied::NoToken) }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, error, fix) = match &self {
            Denied::Foreign(name) => (
                StatusCode::FORBIDDEN,
                format!("the request's {name} header names another place than this machine"),
                "call it by 127.0.0.1 or localhost; behind a proxy, list the proxy's name in intake.hosts",
            ),
            Denied::NoToken => (
                StatusCode::UNAUTHORIZED,
                "a token is needed".to_owned(),
                "send `Authorization: Bearer TOKEN`; in a browser, give the token as the password",
            ),
        };
        let mut response = (status, axum::Json(json!({"error": error, "fix": fix}))).into_response();
        if self == Denied::NoToken {
            let ask = HeaderValue::from_static("Basic realm=\"tributary\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use tributary_ingest::grant::{GrantConfig, Unlisted};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn access(is_loopback: bool, grants: Grants) -> Access {
        Access { grants: Arc::new(grants), is_loopback, hosts: vec!["tributary.acme.example".to_owned()] }
    }

    fn one_token() -> Grants {
        let config: GrantConfig = serde_json::from_value(json!({
            "name": "ci",
            // The hash of `sesame`.
            "token_sha256": "d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272",
            "assets": ["*"], "classes": ["scanner"], "verbs": ["observe"],
        }))
        .unwrap();
        Grants::new(&[config], Unlisted::Nothing).unwrap()
    }

    #[test]
    fn loopback_listens_to_this_machine_only() {
        let access = access(true, Grants::everything());
        let case = |method: Method, pairs: &[(&'static str, &'static str)]| access.is_local(&method, &headers(pairs));
        for host in ["127.0.0.1:8740", "localhost:8740", "LOCALHOST", "[::1]:8740", "tributary.acme.example"] {
            assert_eq!(case(Method::POST, &[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.example:8740", "127.0.0.1.evil.example", "10.0.0.1:8740", ""] {
            assert_eq!(case(Method::GET, &[("host", host)]), Err(Denied::Foreign("Host")), "{host}");
        }
        let local = ("host", "127.0.0.1:8740");
        assert_eq!(case(Method::POST, &[local, ("origin", "http://127.0.0.1:8740")]), Ok(()));
        for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example"] {
            assert_eq!(case(Method::POST, &[local, ("origin", origin)]), Err(Denied::Foreign("Origin")), "{origin}");
        }
        let cross = ("sec-fetch-site", "cross-site");
        assert_eq!(case(Method::GET, &[local, cross]), Err(Denied::Foreign("Sec-Fetch-Site")));
        assert_eq!(case(Method::GET, &[local, cross, ("sec-fetch-mode", "navigate")]), Ok(()));
    }

    #[test]
    fn elsewhere_a_token_is_needed_to_read() {
        let sesame = [("authorization", "Bearer sesame")];
        let in_a_browser = [("authorization", "Basic YW55Ym9keTpzZXNhbWU=")]; // anybody:sesame
        for is_loopback in [true, false] {
            let access = access(is_loopback, one_token());
            assert_eq!(access.has_token(&headers(&sesame)), Ok(()));
            assert_eq!(access.has_token(&headers(&in_a_browser)), Ok(()));
            for wrong in ["Bearer open", "Basic c2VzYW1l", "sesame", "Digest sesame"] {
                assert_eq!(access.has_token(&headers(&[("authorization", wrong)])), Err(Denied::NoToken), "{wrong}");
            }
            assert_eq!(access.has_token(&headers(&[])), Err(Denied::NoToken));
        }
        assert_eq!(access(true, Grants::everything()).has_token(&headers(&[])), Ok(()), "loopback without tokens");
        assert_eq!(access(false, Grants::everything()).has_token(&headers(&[])), Err(Denied::NoToken));
    }
}
