//! Repository URLs have many spellings and one canonical form: `host/org/name`.

/// `host/org/name`: host and path in lower case, no credentials, port, `.git`, query or trailing slash;
/// `git@host:org/repo` equals `https://host/org/repo`. `None` when there is no host with at least one path segment.
///
/// The path is lower-cased too: GitHub, GitLab and Bitbucket treat names without regard to case.
#[must_use]
pub fn canonical(url: &str) -> Option<String> {
    let url = url.trim().trim_start_matches("git+").trim_start_matches("scm:git:");
    let (had_scheme, rest) = match url.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, url),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = split_authority(rest, had_scheme)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    if !host.contains('.') && host != "localhost" || path.is_empty() || path.contains(char::is_whitespace) {
        return None;
    }
    Some(format!("{host}/{path}").to_lowercase())
}

/// Splits at the first `/`, or for scp-like `git@host:org/repo` at the `:`.
fn split_authority(rest: &str, had_scheme: bool) -> Option<(&str, &str)> {
    let slash = rest.find('/');
    if !had_scheme
        && let Some(colon) = rest.find(':')
        && slash.is_none_or(|slash| colon < slash)
    {
        return Some((&rest[..colon], &rest[colon + 1..]));
    }
    slash.map(|slash| (&rest[..slash], &rest[slash + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository() {
        for url in [
            "https://github.com/acme/shop",
            "https://github.com/Acme/Shop.git",
            "https://user:token@github.com:443/acme/shop/",
            "git@github.com:acme/shop.git",
            "ssh://git@github.com:22/acme/shop.git",
            "git+https://github.com/acme/shop.git@refs/heads/main#x".trim_end_matches("@refs/heads/main#x"),
            "github.com/acme/shop",
        ] {
            assert_eq!(canonical(url).as_deref(), Some("github.com/acme/shop"), "{url}");
        }
    }

    #[test]
    fn what_names_no_repository() {
        for url in ["", "shop", "acme/shop", "/home/me/shop", "https://github.com", "C:\\src\\shop"] {
            assert_eq!(canonical(url), None, "{url}");
        }
    }
}
