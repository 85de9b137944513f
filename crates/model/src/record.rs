//! A record as received: bytes and the extensions its producer gave. All extensions are optional.

use crate::time::Millis;
use crate::topic::Topic;

/// The class of a source: which raw topic its records arrive on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum RawClass {
    Scanner,
    Cicd,
    Cloud,
    Runtime,
    Catalog,
    Intel,
    Triage,
    Ticketing,
}

impl RawClass {
    /// Every class, in the order of [`Topic::RAW`].
    pub const ALL: [RawClass; 8] = [
        RawClass::Scanner,
        RawClass::Cicd,
        RawClass::Cloud,
        RawClass::Runtime,
        RawClass::Catalog,
        RawClass::Intel,
        RawClass::Triage,
        RawClass::Ticketing,
    ];

    /// The topic its records arrive on.
    #[must_use]
    pub const fn topic(self) -> Topic {
        Topic::RAW[self as usize]
    }

    /// The topic its records arrive on if nobody waits for them.
    #[must_use]
    pub const fn bulk_topic(self) -> Topic {
        Topic::BULK[self as usize]
    }

    /// The class of a raw topic of either lane; `None` for other topics.
    #[must_use]
    pub fn of_topic(topic: Topic) -> Option<RawClass> {
        RawClass::ALL.into_iter().find(|class| class.topic() == topic || class.bulk_topic() == topic)
    }

    /// The word used in URLs (`POST /v1/events/scanner`) and options.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.topic().name().trim_start_matches("raw.")
    }

    /// The class with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<RawClass> {
        RawClass::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// Names of the headers on raw records. CloudEvents attributes carry the `ce_` prefix of the Kafka binding.
pub mod header {
    #![allow(missing_docs)]
    pub const TYPE: &str = "ce_type";
    pub const SOURCE: &str = "ce_source";
    pub const TIME: &str = "ce_time";
    pub const ID: &str = "ce_id";
    pub const CONTENT_TYPE: &str = "content-type";
    pub const FORMAT: &str = "format";
    pub const REPO: &str = "repo";
    pub const BRANCH: &str = "branch";
    pub const COMMIT: &str = "commit";
    pub const IMAGE: &str = "image";
    pub const RESOURCE: &str = "resource";
    pub const SCAN_ID: &str = "scanid";
    pub const SCAN_SCOPE: &str = "scanscope";
    pub const COMPLETE: &str = "complete";
    pub const BACKFILL: &str = "backfill";
    /// Set by the intake, never taken from a client: the name of the credential whose grant applies.
    pub const CREDENTIAL: &str = "x-tributary-credential";
    /// Set by the intake: milliseconds since the epoch at which the record was acknowledged.
    pub const RECEIVED_AT: &str = "x-tributary-received-at";
}

/// What the producer said about the record beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    /// CloudEvents `type`, or a provider's event name (`github.push`).
    pub event_type: Option<String>,
    /// CloudEvents `source`: who sent it, e.g. `github-actions://acme/shop`.
    pub source: Option<String>,
    /// Event time; absent means "use the report's own time, else the time of receipt".
    pub time: Option<Millis>,
    /// MIME type of the body.
    pub content_type: Option<String>,
    /// Name of the format, where the producer knows it; otherwise it is detected.
    pub format: Option<String>,
    /// Repository URL or `host/org/name`.
    pub repo: Option<String>,
    /// Branch name without `refs/heads/`.
    pub branch: Option<String>,
    /// Commit id.
    pub commit: Option<String>,
    /// Image reference, with `@sha256:…` where known.
    pub image: Option<String>,
    /// Anything else that was looked at: `cluster/prod-eu`, `aws/123456789012`, `https://shop.example`.
    pub resource: Option<String>,
    /// The producer's id of the scan; parts of one scan share it.
    pub scan_id: Option<String>,
    /// Free text that separates scans of one asset by one tool (a matrix job's name, a path filter).
    pub scan_scope: Option<String>,
    /// Whether the producer asserts that the scan looked at everything in its scope; `None`: the format decides.
    pub complete: Option<bool>,
    /// Old data being loaded: never delays interactive work, opens no ticket.
    pub backfill: bool,
    /// Name of the credential that sent it; `None` on a trusted local path.
    pub credential: Option<String>,
    /// When the intake acknowledged it.
    pub received_at: Millis,
}

impl Extensions {
    /// Reads the headers of a raw record. Unknown headers are ignored; a value that cannot be read is as if absent.
    /// `parse_time` turns RFC 3339 text into [`Millis`] (the model has no calendar).
    #[must_use]
    pub fn from_headers<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        parse_time: impl Fn(&str) -> Option<Millis>,
    ) -> Self {
        let mut ext = Self::default();
        for (name, value) in headers {
            let text = || Some(value.trim().to_owned()).filter(|text| !text.is_empty());
            match name {
                header::TYPE => ext.event_type = text(),
                header::SOURCE => ext.source = text(),
                header::TIME => ext.time = parse_time(value),
                header::CONTENT_TYPE => ext.content_type = text(),
                header::FORMAT => ext.format = text(),
                header::REPO => ext.repo = text(),
                header::BRANCH => ext.branch = text(),
                header::COMMIT => ext.commit = text(),
                header::IMAGE => ext.image = text(),
                header::RESOURCE => ext.resource = text(),
                header::SCAN_ID => ext.scan_id = text(),
                header::SCAN_SCOPE => ext.scan_scope = text(),
                header::COMPLETE => ext.complete = flag(value),
                header::BACKFILL => ext.backfill = flag(value).unwrap_or(false),
                header::CREDENTIAL => ext.credential = text(),
                header::RECEIVED_AT => ext.received_at = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        ext
    }

    /// The headers that [`Extensions::from_headers`] reads back, except `ce_time`, which the caller formats.
    #[must_use]
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::with_capacity(8);
        let mut put = |name, value: &Option<String>| {
            if let Some(value) = value {
                headers.push((name, value.clone()));
            }
        };
        put(header::TYPE, &self.event_type);
        put(header::SOURCE, &self.source);
        put(header::CONTENT_TYPE, &self.content_type);
        put(header::FORMAT, &self.format);
        put(header::REPO, &self.repo);
        put(header::BRANCH, &self.branch);
        put(header::COMMIT, &self.commit);
        put(header::IMAGE, &self.image);
        put(header::RESOURCE, &self.resource);
        put(header::SCAN_ID, &self.scan_id);
        put(header::SCAN_SCOPE, &self.scan_scope);
        put(header::CREDENTIAL, &self.credential);
        put(header::COMPLETE, &self.complete.map(|complete| complete.to_string()));
        if self.backfill {
            headers.push((header::BACKFILL, "true".to_owned()));
        }
        headers.push((header::RECEIVED_AT, self.received_at.to_string()));
        headers
    }
}

fn flag(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}
