//! Container logs in the CRI format: `<time> <stream> <F|P> <text>`, a line each.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::clock;

/// Longer lines are split: all parts but the last are tagged `P`.
const MAX_LINE: usize = 16 << 10;

/// Where output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// The log of a container.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: Option<File>,
    /// Unfinished lines, by stream.
    partial: [Vec<u8>; 2],
    /// Reused for what is written at once.
    out: Vec<u8>,
}

impl Log {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: Some(open(path)?), partial: [Vec::new(), Vec::new()], out: Vec::new() })
    }

    /// Opens the file anew, after it has been moved away.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        self.file = Some(open(&self.path)?);
        Ok(())
    }

    /// Takes output. Whole lines are written at once; a full disk loses them, and blocks nobody.
    pub(crate) fn write(&mut self, stream: Stream, mut bytes: &[u8]) {
        let now = clock::nanoseconds();
        while !bytes.is_empty() {
            let partial = &self.partial[stream as usize];
            let room = MAX_LINE - partial.len();
            let end = bytes.iter().take(room).position(|b| *b == b'\n');
            match end {
                Some(end) => {
                    self.line(stream, now, b'F', &bytes[..end]);
                    bytes = &bytes[end + 1..];
                }
                None if bytes.len() >= room => {
                    self.line(stream, now, b'P', &bytes[..room]);
                    bytes = &bytes[room..];
                }
                None => {
                    self.partial[stream as usize].extend_from_slice(bytes);
                    break;
                }
            }
        }
        self.flush();
    }

    /// Writes what is left of lines without an end.
    pub(crate) fn finish(&mut self) {
        let now = clock::nanoseconds();
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.partial[stream as usize].is_empty() {
                self.line(stream, now, b'F', &[]);
            }
        }
        self.flush();
        self.file = None;
    }

    fn line(&mut self, stream: Stream, now: i64, tag: u8, rest: &[u8]) {
        clock::append_rfc3339(now, &mut self.out);
        self.out.extend_from_slice(if stream == Stream::Stdout { b" stdout " } else { b" stderr " });
        self.out.extend_from_slice(&[tag, b' ']);
        self.out.append(&mut self.partial[stream as usize]);
        self.out.extend_from_slice(rest);
        self.out.push(b'\n');
    }

    fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            let _ = file.write_all(&self.out);
        }
        self.out.clear();
        self.out.shrink_to(MAX_LINE);
    }
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds chunks and gives the lines without their times.
    fn logged(chunks: &[(Stream, &[u8])]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        let mut log = Log::open(&path).unwrap();
        chunks.iter().for_each(|(stream, bytes)| log.write(*stream, bytes));
        log.finish();
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    #[test]
    fn lines_are_joined_split_and_finished() {
        use Stream::{Stderr, Stdout};
        assert_eq!(logged(&[(Stdout, b"a\nb\n")]), ["stdout F a", "stdout F b"]);
        assert_eq!(logged(&[(Stdout, b"a"), (Stderr, b"x\n"), (Stdout, b"b\n")]), ["stderr F x", "stdout F ab"]);
        assert_eq!(logged(&[(Stdout, b"\n"), (Stdout, b"no end")]), ["stdout F ", "stdout F no end"]);
        assert!(logged(&[]).is_empty());
    }

    #[test]
    fn long_lines_are_written_in_parts() {
        let long = [b'x'; MAX_LINE];
        let lines = logged(&[(Stream::Stdout, &long[..9]), (Stream::Stdout, &long), (Stream::Stdout, b"yz\n")]);
        assert_eq!(lines[0], format!("stdout P {}", "x".repeat(MAX_LINE)));
        assert_eq!(lines[1], format!("stdout F {}yz", "x".repeat(9)));
    }

    #[test]
    fn a_moved_log_is_written_anew_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("0.log"), dir.path().join("0.log.1"));
        let mut log = Log::open(&path).unwrap();
        log.write(Stream::Stdout, b"one\n");
        std::fs::rename(&path, &old).unwrap();
        log.write(Stream::Stdout, b"two\n");
        log.reopen().unwrap();
        log.write(Stream::Stdout, b"three\n");
        assert_eq!(std::fs::read_to_string(old).unwrap().lines().count(), 2);
        assert!(std::fs::read_to_string(path).unwrap().ends_with(" stdout F three\n"));
    }
}
