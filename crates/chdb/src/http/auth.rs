//! Who asks: Basic authorization, `X-ClickHouse-User` and `X-ClickHouse-Key`, or `user` and `password` in the query.
//! Comparison takes the same time whatever matches, and both accounts are always compared.

use crate::config::Account;
use crate::exec::Exception;
use crate::sql::Role;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::collections::HashMap;
use subtle::{Choice, ConstantTimeEq};

/// The two accounts, as digests: equal length makes the comparison independent of where a difference is.
pub(super) struct Accounts {
    writer: blake3::Hash,
    reader: blake3::Hash,
}

impl Accounts {
    pub(super) fn new(writer: &Account, reader: &Account) -> Self {
        let digest_of = |account: &Account| digest(&account.user, account.password.expose());
        Self { writer: digest_of(writer), reader: digest_of(reader) }
    }

    /// The role of whoever sent this request.
    pub(super) fn role(&self, headers: &HeaderMap, query: &HashMap<String, String>) -> Result<Role, Exception> {
        let (user, password) = credentials(headers, query)?;
        let offered = digest(&user, &password);
        let same = |account: &blake3::Hash| -> Choice { account.as_bytes().ct_eq(offered.as_bytes()) };
        match (bool::from(same(&self.writer)), bool::from(same(&self.reader))) {
            (true, _) => Ok(Role::Writer),
            (_, true) => Ok(Role::Reader),
            _ => {
                let message =
                    format!("{user}: Authentication failed: password is incorrect, or there is no user with such name");
                Err(Exception::new(516, "AUTHENTICATION_FAILED", message))
            }
        }
    }
}

/// Whether the request carries credentials in its headers.
pub(super) fn offered(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || headers.contains_key("x-clickhouse-user")
}

fn digest(user: &str, password: &str) -> blake3::Hash {
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    blake3::Hasher::new()
        .update(&(user.len() as u64).to_le_bytes())
        .update(user.as_bytes())
        .update(password.as_bytes())
        .finalize()
}

fn credentials(headers: &HeaderMap, query: &HashMap<String, String>) -> Result<(String, String), Exception> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if let Some(user) = text("x-clickhouse-user") {
        return Ok((user, text("x-clickhouse-key").unwrap_or_default()));
    }
    if let Some(value) = text("authorization") {
        let refused = || Exception::new(516, "AUTHENTICATION_FAILED", "only Basic authorization is understood");
        let (scheme, encoded) = value.split_once(' ').ok_or_else(refused)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(refused());
        }
        let decoded = BASE64_STANDARD.decode(encoded.trim()).map_err(|_| refused())?;
        let decoded = String::from_utf8(decoded).map_err(|_| refused())?;
        let (user, password) = decoded.split_once(':').ok_or_else(refused)?;
        return Ok((user.to_owned(), password.to_owned()));
    }
    let param = |name: &str| query.get(name).cloned();
    Ok((param("user").unwrap_or_else(|| "default".to_owned()), param("password").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(headers: &[(&'static str, &str)], query: &[(&str, &str)]) -> Result<Role, u32> {
        let accounts = Accounts::new(&Account::new("sink", "s3:cret"), &Account::new("analyst", "look"));
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        accounts.role(&headers, &query).map_err(|error| error.code)
    }

    #[test]
    fn three_ways_to_say_who_asks() {
        assert_eq!(role(&[("authorization", "Basic c2luazpzMzpjcmV0")], &[]), Ok(Role::Writer));
        assert_eq!(role(&[("x-clickhouse-user", "analyst"), ("x-clickhouse-key", "look")], &[]), Ok(Role::Reader));
        assert_eq!(role(&[], &[("user", "sink"), ("password", "s3:cret")]), Ok(Role::Writer));
    }

    #[test]
    fn anything_else_is_nobody() {
        assert_eq!(role(&[], &[]), Err(516));
        assert_eq!(role(&[], &[("user", "sink"), ("password", "look")]), Err(516));
        assert_eq!(role(&[("authorization", "Bearer x")], &[]), Err(516));
        assert_eq!(role(&[("authorization", "Basic !")], &[]), Err(516));
    }
}
