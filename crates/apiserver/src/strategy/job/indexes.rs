//! Indexes of a job as it writes them: `1,3-5,7`.

use object::field::quote;
use object::number::parse_int;

type Interval = (i64, i64);

/// How many indexes a text has, of a job with so many completions.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    let (mut last, mut total): (Option<i64>, i64) = (None, 0);
    for part in parts(text) {
        let (from, to) = interval(part, completions)?;
        if let Some(last) = last.filter(|last| *last >= from) {
            return Err(not_increasing(last, from));
        }
        total += to - from + 1;
        last = Some(to);
    }
    Ok(total)
}

/// The first index that two texts share; what is no interval in them is passed over.
pub(super) fn overlap(a: &str, b: &str, completions: i64) -> Option<i64> {
    let read = |text| parts(text).filter_map(|part| interval(part, completions).ok()).collect::<Vec<_>>();
    let (a, b) = (read(a), read(b));
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some((from, to)), Some((start, end))) = (a.peek(), b.peek()) {
        if from <= end && start <= to {
            return Some(*from.max(start));
        }
        if from <= start {
            a.next()
        } else {
            b.next()
        };
    }
    None
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(move |_| !text.is_empty())
}

fn interval(text: &str, completions: i64) -> Result<Interval, String> {
    let mut limits = text.split('-');
    let (first, second) = (limits.next().unwrap_or_default(), limits.next());
    if limits.next().is_some() {
        let text = quote(text);
        return Err(format!(
            "the fragment {text} violates the requirement that an index interval can have at most two parts separated \
             by '-'"
        ));
    }
    let from = index(first, completions)?;
    let Some(second) = second else { return Ok((from, from)) };
    let to = index(second, completions)?;
    if from >= to { Err(not_increasing(from, to)) } else { Ok((from, to)) }
}

fn index(text: &str, completions: i64) -> Result<i64, String> {
    let index = parse_int(text).map_err(|_| format!("cannot convert string to integer for index: {}", quote(text)))?;
    if index >= completions { Err(format!("too large index: {}", quote(text))) } else { Ok(index) }
}

fn not_increasing(previous: i64, current: i64) -> String {
    format!("non-increasing order, previous: {previous}, current: {current}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        for (text, expected) in [("", Ok(0)), ("1", Ok(1)), ("0-2,4", Ok(4))] {
            assert_eq!(count(text, 5), expected);
        }
        for (text, why) in [
            ("5", "too large index: \"5\""),
            ("a", "cannot convert string to integer for index: \"a\""),
            ("1,1", "non-increasing order, previous: 1, current: 1"),
            ("2-1", "non-increasing order, previous: 2, current: 1"),
            ("", ""),
        ] {
            assert_eq!(count(text, 5).err().unwrap_or_default(), why);
        }
    }

    #[test]
    fn overlaps() {
        for (a, b, expected) in [
            ("0-2", "3,4", None),
            ("0-2", "2", Some(2)),
            ("", "1", None),
            ("x,3", "0,3", Some(3)),
            ("4", "0-4", Some(4)),
        ] {
            assert_eq!(overlap(a, b, 5), expected, "{a} {b}");
        }
    }
}
