//! Numbers in text, with the words that upstream has for those that are none.

/// A decimal number with an optional sign.
///
/// # Errors
/// When the text is none, or larger than 64 bits hold.
pub fn parse_int(text: &str) -> Result<i64, String> {
    let quoted = || crate::field::quote(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("strconv.Atoi: parsing {}: invalid syntax", quoted()));
    }
    text.parse().map_err(|_| format!("strconv.Atoi: parsing {}: value out of range", quoted()))
}

#[cfg(test)]
mod tests {
    use super::parse_int;

    #[test]
    fn numbers() {
        for (text, value) in [("0", 0), ("+5", 5), ("-7", -7), ("007", 7)] {
            assert_eq!(parse_int(text), Ok(value));
        }
        assert_eq!(parse_int("1x"), Err("strconv.Atoi: parsing \"1x\": invalid syntax".to_owned()));
        assert_eq!(parse_int("-"), Err("strconv.Atoi: parsing \"-\": invalid syntax".to_owned()));
        let large = "99999999999999999999";
        assert_eq!(parse_int(large), Err(format!("strconv.Atoi: parsing \"{large}\": value out of range")));
    }
}
