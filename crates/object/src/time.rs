//! Timestamps as the API prints them.

use jiff::{Timestamp, tz::TimeZone};

/// `metav1.Time`: RFC 3339 in UTC with whole seconds, `2024-01-02T03:04:05Z`.
#[must_use]
pub fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `metav1.MicroTime`: RFC 3339 in UTC with always six decimals, `2024-01-02T03:04:05.000000Z`.
#[must_use]
pub fn micros(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Parses RFC 3339 with any offset and precision. `None` when it is not one (a date alone, a missing zone).
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes[10] != b'T' || bytes.len() > 64 {
        return None;
    }
    text.parse().ok()
}

/// Parses what a `metav1.Time` field holds and prints it again: fractions of seconds are cut, the zone becomes UTC.
/// `None` when it is not RFC 3339; borrowed when it is canonical already.
#[must_use]
pub fn canonical_seconds(text: &str) -> Option<std::borrow::Cow<'_, str>> {
    if is_plain_seconds(text.as_bytes()) && parse(text).is_some() {
        return Some(text.into());
    }
    parse(text).map(|time| seconds(time).into())
}

/// The same for a `metav1.MicroTime` field.
#[must_use]
pub fn canonical_micros(text: &str) -> Option<String> {
    parse(text).map(micros)
}

/// The time between two moments as tables print ages: `5s`, `3m12s`, `4h30m`, `2d3h`, `45d`, `2y30d`.
#[must_use]
pub fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let pair = |a: i64, unit_a: char, b: i64, unit_b: char| {
        if b == 0 { format!("{a}{unit_a}") } else { format!("{a}{unit_a}{b}{unit_b}") }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => pair(s / MINUTE, 'm', s % MINUTE, 's'),
        s if s < 3 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => pair(s / HOUR, 'h', s % HOUR / MINUTE, 'm'),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => pair(s / DAY, 'd', s % DAY / HOUR, 'h'),
        s if s < 2 * YEAR => format!("{}d", s / DAY),
        s if s < 8 * YEAR => pair(s / YEAR, 'y', s % YEAR / DAY, 'd'),
        s => format!("{}y", s / YEAR),
    }
}

/// The civil date and time in UTC, for the few places that need calendar fields.
#[must_use]
pub fn civil(time: Timestamp) -> jiff::civil::DateTime {
    time.to_zoned(TimeZone::UTC).datetime()
}

fn is_plain_seconds(bytes: &[u8]) -> bool {
    bytes.len() == 20 && bytes[19] == b'Z'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses() {
        let time = parse("2024-01-02T03:04:05.678901Z").expect("valid");
        assert_eq!(seconds(time), "2024-01-02T03:04:05Z");
        assert_eq!(micros(time), "2024-01-02T03:04:05.678901Z");
        assert_eq!(canonical_seconds("2024-01-02T03:04:05+01:00").as_deref(), Some("2024-01-02T02:04:05Z"));
        assert_eq!(canonical_micros("2024-01-02T03:04:05Z").as_deref(), Some("2024-01-02T03:04:05.000000Z"));
    }

    #[test]
    fn refuses_other_forms() {
        for text in ["", "2024-01-02", "2024-01-02 03:04:05Z", "2024-01-02T03:04:05", "2024-13-02T03:04:05Z", "now"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn ages() {
        let cases = [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (192, "3m12s"),
            (600, "10m"),
            (3 * 3600, "3h"),
            (4 * 3600 + 1800, "4h30m"),
            (9 * 3600, "9h"),
            (2 * 86400 + 3 * 3600, "2d3h"),
            (45 * 86400, "45d"),
            (800 * 86400, "2y70d"),
            (4000 * 86400, "10y"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(human_duration(seconds), expected, "{seconds}");
        }
    }
}
