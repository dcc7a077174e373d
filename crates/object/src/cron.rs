//! Cron schedules: five fields, or a name such as `@daily`, worded as upstream words what is wrong with them.

mod duration;

/// The bounds of a field and the names that it knows; a name's value is its position, counted from the lower bound.
struct Field {
    low: u64,
    high: u64,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Minute, hour, day of the month, month, day of the week.
const FIELDS: [Field; 5] = [
    Field { low: 0, high: 59, names: &[] },
    Field { low: 0, high: 23, names: &[] },
    Field { low: 1, high: 31, names: &[] },
    Field { low: 1, high: 12, names: MONTHS },
    Field { low: 0, high: 6, names: DAYS },
];

const DESCRIPTORS: &[&str] = &["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Checks a schedule, which may start with `TZ=zone ` or `CRON_TZ=zone `.
///
/// # Errors
/// What is wrong with it.
pub fn check(schedule: &str) -> Result<(), String> {
    if schedule.is_empty() {
        return Err("empty spec string".to_owned());
    }
    let times = match zone_prefix(schedule) {
        None => schedule,
        Some(rest) => {
            // Upstream trips over a zone without an end, and says so.
            let (name, times) = rest
                .split_once(' ')
                .ok_or("invalid schedule format: runtime error: slice bounds out of range [:-1]")?;
            check_zone(name).map_err(|why| format!("provided bad location {name}: {why}"))?;
            times.trim()
        }
    };
    if times.starts_with('@') { check_descriptor(times) } else { check_fields(times) }
}

/// Checks the name of a time zone, in the case that the time zone database has it in.
///
/// # Errors
/// When there is no such zone.
pub fn check_zone(name: &str) -> Result<(), String> {
    let known = matches!(name, "" | "UTC" | "Local")
        || jiff::tz::TimeZoneDatabase::bundled().get(name).is_ok_and(|zone| zone.iana_name() == Some(name));
    if known { Ok(()) } else { Err(format!("unknown time zone {name}")) }
}

fn zone_prefix(schedule: &str) -> Option<&str> {
    schedule.strip_prefix("TZ=").or_else(|| schedule.strip_prefix("CRON_TZ="))
}

fn check_descriptor(descriptor: &str) -> Result<(), String> {
    if let Some(interval) = descriptor.strip_prefix("@every ") {
        return duration::check(interval).map_err(|why| format!("failed to parse duration {descriptor}: {why}"));
    }
    if DESCRIPTORS.contains(&descriptor) { Ok(()) } else { Err(format!("unrecognized descriptor: {descriptor}")) }
}

fn check_fields(times: &str) -> Result<(), String> {
    let found: Vec<&str> = times.split_whitespace().collect();
    if found.len() != FIELDS.len() {
        let (wanted, found) = (FIELDS.len(), (found.len(), found.join(" ")));
        return Err(format!("expected exactly {wanted} fields, found {}: [{}]", found.0, found.1));
    }
    for (text, field) in found.iter().zip(&FIELDS) {
        text.split(',').filter(|range| !range.is_empty()).try_for_each(|range| check_range(range, field))?;
    }
    Ok(())
}

/// One of `*`, `5`, `1-5`, `jan`, each with `/step` or without.
fn check_range(text: &str, field: &Field) -> Result<(), String> {
    let (range, step) = text.split_once('/').map_or((text, None), |(range, step)| (range, Some(step)));
    let (first, last) = range.split_once('-').map_or((range, None), |(first, last)| (first, Some(last)));
    let (start, mut end) = match (first, last) {
        ("*" | "?", _) => (field.low, field.high),
        (_, Some(last)) if last.contains('-') => {
            number_or_name(first, field)?;
            return Err(format!("too many hyphens: {text}"));
        }
        (first, last) => {
            let start = number_or_name(first, field)?;
            (start, last.map_or(Ok(start), |last| number_or_name(last, field))?)
        }
    };
    let mut every = 1;
    if let Some(step) = step {
        if step.contains('/') {
            return Err(format!("too many slashes: {text}"));
        }
        every = number(step)?;
        if last.is_none() {
            end = field.high;
        }
    }
    in_bounds(start, end, every, field, text)
}

fn in_bounds(start: u64, end: u64, step: u64, field: &Field, text: &str) -> Result<(), String> {
    let Field { low, high, .. } = field;
    if start < *low {
        return Err(format!("beginning of range ({start}) below minimum ({low}): {text}"));
    }
    if end > *high {
        return Err(format!("end of range ({end}) above maximum ({high}): {text}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok(())
}

fn number_or_name(text: &str, field: &Field) -> Result<u64, String> {
    let name = text.to_lowercase();
    match field.names.iter().zip(field.low..).find(|(known, _)| **known == name) {
        Some((_, value)) => Ok(value),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u64, String> {
    let value = crate::number::parse_int(text).map_err(|why| format!("failed to parse int from {text}: {why}"))?;
    u64::try_from(value).map_err(|_| format!("negative number ({value}) not allowed: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules() {
        for good in [
            "* * * * *",
            "*/5 0-6/2 1,15 jan-Mar MON",
            "0 0 ? * ?",
            "@daily",
            "@every 1h30m",
            "TZ=Europe/Berlin 0 0 * * *",
            "CRON_TZ=UTC @hourly",
            "+5 * * * *",
            "1, * * * *",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "empty spec string"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("1/-5 * * * *", "negative number (-5) not allowed: -5"),
            ("@never", "unrecognized descriptor: @never"),
            ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
            ("TZ=Nowhere * * * * *", "provided bad location Nowhere: unknown time zone Nowhere"),
            ("TZ=UTC", "invalid schedule format: runtime error: slice bounds out of range [:-1]"),
        ] {
            assert_eq!(check(bad), Err(why.to_owned()), "{bad}");
        }
    }

    #[test]
    fn zones_are_named_exactly() {
        assert_eq!(check_zone("America/New_York"), Ok(()));
        assert_eq!(check_zone("america/new_york"), Err("unknown time zone america/new_york".to_owned()));
        assert_eq!(check_zone("Etc/UTC"), Ok(()));
    }
}
