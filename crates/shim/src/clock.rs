//! Wall time: when a line was written, when a container ended.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "the shim runs without the host crate, outside of every simulation")]
pub(crate) fn nanoseconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Appends a time as the CRI log format has it: `2016-10-06T00:17:09.669794202Z`.
pub(crate) fn append_rfc3339(nanoseconds: i64, out: &mut Vec<u8>) {
    let (seconds, fraction) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z");
    out.extend_from_slice(text.as_bytes());
}

/// Year, month and day of a day counted from 1970-01-01. Years are counted from March, so that leap days end them.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelt_as_logs_have_them() {
        let check = |nanoseconds: i64, expected: &str| {
            let mut out = Vec::new();
            append_rfc3339(nanoseconds, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(0, "1970-01-01T00:00:00.000000000Z");
        check(1_475_713_029_669_794_202, "2016-10-06T00:17:09.669794202Z");
        check(951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z");
        check(4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999999Z");
        check(-1, "1969-12-31T23:59:59.999999999Z");
    }
}
