//! Resource quantities: `100m`, `1.5`, `128Mi`, `12e6`.
//!
//! A quantity is a decimal number with at most nine places and a suffix style. Printing gives the canonical form: no
//! fraction, the largest suffix that keeps the number whole.

mod parse;

use std::{cmp::Ordering, fmt, str::FromStr};

use thiserror::Error;

/// The suffix style that a quantity keeps when printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `12e6`
    DecimalExponent,
    /// `12Mi` (12 · 2²⁰)
    BinarySI,
    /// `12M` (12 · 10⁶)
    DecimalSI,
}

/// A number and its style. Comparison looks at the number only.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    /// Multiplied by ten to the `scale`.
    mantissa: i128,
    /// At least -9.
    scale: i32,
    pub format: Format,
}

/// Why a text is no quantity, in upstream's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum QuantityError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    pub const ZERO: Self = Self { mantissa: 0, scale: 0, format: Format::DecimalSI };

    /// A whole number.
    #[must_use]
    pub const fn whole(value: i64, format: Format) -> Self {
        Self { mantissa: value as i128, scale: 0, format }
    }

    /// Thousandths, as CPU is counted.
    #[must_use]
    pub const fn milli(value: i64) -> Self {
        Self { mantissa: value as i128, scale: -3, format: Format::DecimalSI }
    }

    /// Reads a quantity. Places below nano are rounded away from zero; binary ones are capped at `i64::MAX`.
    ///
    /// # Errors
    /// When the text is none, or has more digits than 128 bits hold.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        parse::parse(text)
    }

    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.mantissa < 0
    }

    /// The number rounded up (away from zero) to whole units; saturates.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.scaled(0)
    }

    /// The number rounded up (away from zero) to thousandths; saturates.
    #[must_use]
    pub fn milli_value(&self) -> i64 {
        self.scaled(-3)
    }

    /// The nearest floating point number, for ratios and metrics.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "approximate by contract")]
    pub fn approximate(&self) -> f64 {
        self.mantissa as f64 * 10_f64.powi(self.scale)
    }

    /// The sum; a zero takes the other's format. Saturates.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        let scale = self.scale.min(other.scale);
        let mantissa = self.at(scale).saturating_add(other.at(scale));
        Self { mantissa, scale, format }
    }

    /// The difference; a zero takes the other's format. Saturates.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self { mantissa: other.mantissa.saturating_neg(), ..other })
    }

    /// The mantissa at a smaller or equal scale; saturates.
    fn at(&self, scale: i32) -> i128 {
        let mut mantissa = self.mantissa;
        for _ in scale..self.scale {
            mantissa = mantissa.saturating_mul(10);
            if mantissa == i128::MAX || mantissa == i128::MIN || mantissa == 0 {
                break;
            }
        }
        mantissa
    }

    fn scaled(&self, scale: i32) -> i64 {
        let value = if self.scale >= scale { self.at(scale) } else { divide_up(self.mantissa, scale - self.scale) };
        i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
    }

    /// The number as whole units, when it is one.
    fn exact_whole(&self) -> Option<i128> {
        if self.scale >= 0 {
            return Some(self.at(0));
        }
        let divisor = 10_i128.checked_pow(self.scale.unsigned_abs())?;
        (self.mantissa % divisor == 0).then(|| self.mantissa / divisor)
    }

    fn write_decimal(&self, f: &mut fmt::Formatter<'_>, exponent_style: bool) -> fmt::Result {
        let (mut mantissa, mut exponent) = (self.mantissa, self.scale);
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        while exponent % 3 != 0 {
            mantissa = mantissa.saturating_mul(10);
            exponent -= 1;
        }
        write!(f, "{mantissa}")?;
        match decimal_suffix(exponent) {
            _ if exponent == 0 => Ok(()),
            Some(suffix) if !exponent_style => f.write_str(suffix),
            _ => write!(f, "e{exponent}"),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        let binary = if self.format == Format::BinarySI { self.exact_whole() } else { None };
        match binary {
            Some(mut whole) if !(-1023..=1023).contains(&whole) => {
                let mut power = 0;
                while whole % 1024 == 0 && power < BINARY_SUFFIXES.len() - 1 {
                    whole /= 1024;
                    power += 1;
                }
                write!(f, "{whole}{}", BINARY_SUFFIXES[power])
            }
            _ => self.write_decimal(f, self.format == Format::DecimalExponent),
        }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::parse(s)
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.min(other.scale);
        self.at(scale).cmp(&other.at(scale))
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

const BINARY_SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

fn decimal_suffix(exponent: i32) -> Option<&'static str> {
    let suffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    suffixes.get(usize::try_from(exponent / 3 + 3).ok()?).copied()
}

/// Divides by ten to the `places`, rounding away from zero.
fn divide_up(value: i128, places: i32) -> i128 {
    match 10_i128.checked_pow(places.unsigned_abs()) {
        Some(divisor) => value / divisor + (value % divisor).signum(),
        None => value.signum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_forms() {
        for (text, canonical) in [
            ("0", "0"),
            ("0Mi", "0"),
            ("1", "1"),
            ("1000m", "1"),
            ("100m", "100m"),
            ("0.1", "100m"),
            ("1.5", "1500m"),
            ("1500m", "1500m"),
            ("0.5Gi", "512Mi"),
            ("1024Mi", "1Gi"),
            ("1025Mi", "1025Mi"),
            ("1Ki", "1Ki"),
            ("1023", "1023"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("1.1Ki", "1126400m"),
            ("1000", "1k"),
            ("1000k", "1M"),
            ("100k", "100k"),
            ("12e6", "12e6"),
            ("1e3", "1e3"),
            ("12E6", "12e6"),
            ("1E", "1E"),
            ("1e-3", "1e-3"),
            ("100e-3", "100e-3"),
            ("1u", "1u"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("1.0000000001", "1000000001n"),
            ("-1", "-1"),
            ("-1.5Mi", "-1536Ki"),
            ("+1", "1"),
            ("007", "7"),
            (".5", "500m"),
            ("1.", "1"),
            ("9223372036854775807", "9223372036854775807"),
            ("16Ei", "9223372036854775807"),
            ("3.0Gi", "3Gi"),
        ] {
            assert_eq!(Quantity::parse(text).expect(text).to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn refused() {
        for (text, error) in [
            ("", QuantityError::Format),
            ("1 ", QuantityError::Format),
            ("abc", QuantityError::Format),
            ("1.1.1", QuantityError::Format),
            ("1mm", QuantityError::Suffix),
            ("1Mib", QuantityError::Format),
            ("1ki", QuantityError::Suffix),
            ("1K", QuantityError::Suffix),
            ("1e", QuantityError::Suffix),
            ("-", QuantityError::Numeric),
        ] {
            assert_eq!(Quantity::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn arithmetic() {
        let q = |text| Quantity::parse(text).expect(text);
        assert!(q("1") == q("1000m") && q("1Gi") > q("1G") && q("1m") > Quantity::ZERO);
        assert_eq!(q("1").plus(q("500m")).to_string(), "1500m");
        assert_eq!(q("1Gi").minus(q("512Mi")).to_string(), "512Mi");
        assert_eq!((q("1.1").value(), q("1.0001").milli_value(), q("-1.1").value()), (2, 1001, -2));
        assert_eq!(q("1e30").value(), i64::MAX);
    }

    proptest! {
        #[test]
        fn printing_is_stable(text in "[+-]?[0-9]{1,12}(\\.[0-9]{0,6})?(m|k|M|G|Ki|Mi|Gi|e3|)") {
            let parsed = Quantity::parse(&text).expect("valid by construction");
            let printed = parsed.to_string();
            let again = Quantity::parse(&printed).expect("canonical text parses");
            prop_assert_eq!(parsed, again);
            prop_assert_eq!(printed, again.to_string());
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,24}") {
            let _ = Quantity::parse(&text).map(|q| (q.to_string(), q.value(), q.milli_value()));
        }
    }
}
