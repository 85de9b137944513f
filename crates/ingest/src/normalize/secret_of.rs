//! A secret without the secret: keyed HMAC, canonical family. The value is read here and nowhere kept.

use tributary_model::sighting::Secret;

use crate::event::Input;

/// The secret of a sighting. A mask (`REDACTED`, `AKIA****`) has no HMAC: then the location is its identity.
pub fn of(input: &Input<'_>, value: &str, rule: &str, verified: bool) -> Secret {
    let value = value.trim();
    let (hmac, key_id) = if is_mask(value) {
        (String::new(), String::new())
    } else {
        (input.secrets.hmac(value), input.secrets.key_id().to_owned())
    };
    Secret { hmac, key_id, family: family(rule), verified, revoked: false }
}

/// Whether a tool hid the value, wholly or in part. Two secrets have the same mask, so a mask identifies nothing.
pub fn is_mask(value: &str) -> bool {
    let upper = value.to_ascii_uppercase();
    value.is_empty()
        || ["REDACTED", "MASKED", "HIDDEN"].iter().any(|word| upper.contains(word))
        || value.contains("***")
        || value.contains("...")
        || value.contains('…')
        || value.bytes().all(|b| matches!(b, b'*' | b'x' | b'X' | b'.' | b'#' | b'-'))
}

/// Rules whose name does not begin with the vendor, or where one vendor issues several kinds. First match wins; the texts are
/// parts of the rule in lower case without separators.
const FAMILIES: [(&str, &str); 26] = [
    ("privatekey", "private-key"),
    ("awsmanagementconsole", "aws-session"),
    ("awssession", "aws-session"),
    ("awsmws", "aws-mws"),
    ("amazonmws", "aws-mws"),
    ("awssecret", "aws-secret-key"),
    ("aws", "aws-access-key"),
    ("githuboauth2", "github-oauth-app"),
    ("github", "github-token"),
    ("gitlab", "gitlab-token"),
    ("slackwebhook", "slack-webhook"),
    ("slack", "slack-token"),
    ("gcpserviceaccount", "gcp-service-account"),
    ("gcpapikey", "google-api-key"),
    ("googleapikey", "google-api-key"),
    ("gcp", "gcp-service-account"),
    ("stripe", "stripe-key"),
    ("jwt", "jwt"),
    ("jsonwebtoken", "jwt"),
    ("generic", "generic"),
    ("password", "generic"),
    ("entropy", "generic"),
    ("dockerconfig", "docker-config"),
    ("dockerhub", "dockerhub-token"),
    ("postgres", "database-url"),
    ("jdbc", "database-url"),
];

/// Canonical family of a secret from a tool's rule or detector: `aws-access-token`, `AWS` and `AWS Access Key ID` are one.
/// An unknown rule is named after its first word, which is the vendor in every rule set known.
pub fn family(rule: &str) -> String {
    let letters: String = rule.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if let Some((_, family)) = FAMILIES.iter().find(|(part, _)| letters.contains(part)) {
        return (*family).to_owned();
    }
    let mut vendor = String::new();
    let mut previous = ' ';
    for c in rule.trim().chars() {
        let is_new_word = c.is_ascii_uppercase() && previous.is_ascii_lowercase();
        if !c.is_ascii_alphanumeric() || is_new_word {
            break;
        }
        vendor.push(c.to_ascii_lowercase());
        previous = c;
    }
    if vendor.is_empty() { "generic".to_owned() } else { vendor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_family_for_every_tool() {
        for (rule, expected) in [
            ("aws-access-token", "aws-access-key"),
            ("AWS", "aws-access-key"),
            ("aws-access-key-id", "aws-access-key"),
            ("aws-secret-access-key", "aws-secret-key"),
            ("github-pat", "github-token"),
            ("Github", "github-token"),
            ("private-key", "private-key"),
            ("PrivateKey", "private-key"),
            ("generic-api-key", "generic"),
            ("datadog-access-token", "datadog"),
            ("DatadogToken", "datadog"),
            ("", "generic"),
            ("é", "generic"),
        ] {
            assert_eq!(family(rule), expected, "{rule}");
        }
    }

    #[test]
    fn masks() {
        for mask in ["", "REDACTED", "AKIA****************", "***", "xxxxxxxx", "ghp_abc..."] {
            assert!(is_mask(mask), "{mask}");
        }
        assert!(!is_mask("hunter2"));
    }
}
