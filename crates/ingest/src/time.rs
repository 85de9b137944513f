//! Times as tools write them → milliseconds.

use tributary_model::time::Millis;

/// RFC 3339 (`2026-11-20T09:00:00Z`, with offset or fraction), also with a space for the `T` or without a zone (taken as UTC),
/// or a bare date (midnight UTC). `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<Millis> {
    let text = text.trim();
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    let utc = |datetime: jiff::civil::DateTime| {
        jiff::tz::Offset::UTC.to_timestamp(datetime).ok().map(jiff::Timestamp::as_millisecond)
    };
    if let Ok(datetime) = text.parse::<jiff::civil::DateTime>() {
        return utc(datetime);
    }
    text.parse::<jiff::civil::Date>().ok().and_then(|date| utc(date.at(0, 0, 0, 0)))
}

/// RFC 3339 text in UTC, for `ce_time` and people.
#[must_use]
pub fn format(time: Millis) -> String {
    jiff::Timestamp::from_millisecond(time).map(|timestamp| timestamp.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_write_time_in_many_ways() {
        let expected = Some(1_763_629_200_000);
        for text in
            ["2025-11-20T09:00:00Z", "2025-11-20T10:00:00+01:00", "2025-11-20T09:00:00.000000Z", "2025-11-20 09:00:00"]
        {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("2025-11-20"), Some(1_763_596_800_000));
        assert_eq!(parse("yesterday"), None);
        assert_eq!(format(1_763_629_200_000), "2025-11-20T09:00:00Z");
    }
}
