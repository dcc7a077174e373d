//! Durations as Go writes them: `1h30m`, `1.5s`.

const UNITS: &[&str] = &["ns", "us", "µs", "μs", "ms", "s", "m", "h"];

/// Checks a duration: an optional sign, then numbers with units, or a bare zero.
pub(super) fn check(text: &str) -> Result<(), String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(());
    }
    let invalid = || format!("time: invalid duration {}", crate::field::quote(text));
    let mut rest = unsigned;
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, after) = rest.split_at(digits);
        if !number.contains(|c: char| c.is_ascii_digit()) || number.matches('.').count() > 1 {
            return Err(invalid());
        }
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", crate::field::quote(text)));
        }
        if !UNITS.contains(&unit) {
            let (unit, text) = (crate::field::quote(unit), crate::field::quote(text));
            return Err(format!("time: unknown unit {unit} in duration {text}"));
        }
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn durations() {
        for good in ["0", "1h", "-1.5s", "1h2m3s", ".5ms", "+10µs"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "time: invalid duration \"\""),
            ("h", "time: invalid duration \"h\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5y", "time: unknown unit \"y\" in duration \"5y\""),
            (".s", "time: invalid duration \".s\""),
        ] {
            assert_eq!(check(bad), Err(why.to_owned()), "{bad}");
        }
    }
}
