//! Reading quantities.

use super::{Format, Quantity, QuantityError, divide_up};

const NANO: i32 = -9;
/// Exponents beyond this are refused: no 128-bit number reaches them.
const MAX_EXPONENT: i32 = 38;
const MAX_LENGTH: usize = 256;

pub(super) fn parse(text: &str) -> Result<Quantity, QuantityError> {
    let (number, suffix) = split(text)?;
    let (negative, digits, scale) = decimal(number)?;
    let (base, exponent, format) = interpret(suffix).ok_or(QuantityError::Suffix)?;
    let (mut mantissa, mut scale) = (digits, scale);
    match base {
        Base::Ten => scale += exponent,
        Base::Two => mantissa = mantissa.checked_mul(1_i128 << exponent).ok_or(QuantityError::Numeric)?,
    }
    if scale < NANO {
        mantissa = divide_up(mantissa, NANO - scale);
        scale = NANO;
    }
    let mut quantity = Quantity { mantissa, scale, format };
    let cap = Quantity::whole(i64::MAX, format);
    if format == Format::BinarySI && quantity > cap {
        quantity = cap;
    }
    if format == Format::BinarySI && quantity < Quantity::whole(1, format) {
        quantity.format = Format::DecimalSI;
    }
    if negative {
        quantity.mantissa = -quantity.mantissa;
    }
    Ok(quantity)
}

enum Base {
    Ten,
    Two,
}

/// Splits the number from its suffix and checks the characters of both.
fn split(text: &str) -> Result<(&str, &str), QuantityError> {
    if text.is_empty() || text.len() > MAX_LENGTH {
        return Err(QuantityError::Format);
    }
    let bytes = text.as_bytes();
    let signed = usize::from(matches!(bytes[0], b'+' | b'-'));
    let whole = digits_from(bytes, signed);
    let end = if bytes.get(whole) == Some(&b'.') { digits_from(bytes, whole + 1) } else { whole };
    let letters = bytes[end..].iter().take_while(|b| b"eEinumkKMGTP".contains(b)).count();
    let sign = usize::from(matches!(bytes.get(end + letters), Some(b'+' | b'-')));
    if digits_from(bytes, end + letters + sign) != bytes.len() {
        return Err(QuantityError::Format);
    }
    Ok(text.split_at(end))
}

fn digits_from(bytes: &[u8], start: usize) -> usize {
    start + bytes[start.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count()
}

/// Sign, digits without the point, and the scale that the point gives.
fn decimal(number: &str) -> Result<(bool, i128, i32), QuantityError> {
    let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() && !unsigned.contains('.') || unsigned == "." {
        return Err(QuantityError::Numeric);
    }
    let mut mantissa: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let next = mantissa.checked_mul(10).and_then(|m| m.checked_add(i128::from(digit - b'0')));
        mantissa = next.ok_or(QuantityError::Numeric)?;
    }
    let scale = -i32::try_from(fraction.len()).map_err(|_| QuantityError::Numeric)?;
    Ok((number.starts_with('-'), mantissa, scale))
}

fn interpret(suffix: &str) -> Option<(Base, i32, Format)> {
    let decimal = |exponent| Some((Base::Ten, exponent, Format::DecimalSI));
    let binary = |exponent| Some((Base::Two, exponent, Format::BinarySI));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (-MAX_EXPONENT..=MAX_EXPONENT).contains(&exponent).then_some((Base::Ten, exponent, Format::DecimalExponent))
        }
    }
}
