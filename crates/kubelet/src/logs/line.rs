//! One line of a log file: `2016-10-06T00:17:09.669794202Z stdout F text`.

use jiff::Timestamp;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// The time as it is written.
    pub stamp: &'a [u8],
    pub time: Option<Timestamp>,
    pub stream: Stream,
    /// Whether the next line of the stream goes on with this one.
    pub partial: bool,
    /// Without the newline.
    pub text: &'a [u8],
}

/// Takes a line apart; `None` when it is none.
#[must_use]
pub fn parse(raw: &[u8]) -> Option<Line<'_>> {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    let mut fields = raw.splitn(4, |byte| *byte == b' ');
    let (stamp, stream, tag) = (fields.next()?, fields.next()?, fields.next()?);
    let stream = match stream {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    Some(Line {
        stamp,
        time: std::str::from_utf8(stamp).ok().and_then(|text| text.parse().ok()),
        stream,
        partial: tag.split(|byte| *byte == b':').next() == Some(b"P"),
        text: fields.next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let line = parse(b"2016-10-06T00:17:09.669794202Z stderr P a b \n").unwrap();
        assert_eq!((line.stream, line.partial, line.text), (Stream::Stderr, true, b"a b ".as_slice()));
        assert_eq!(line.time.unwrap().subsec_nanosecond(), 669_794_202);
        let line = parse(b"2016-10-06T00:17:09+02:00 stdout F:x ").unwrap();
        assert_eq!((line.partial, line.text), (false, b"".as_slice()));
        assert_eq!(parse(b"garbage"), None);
        assert_eq!(parse(b"2016 other F text"), None);
    }
}
