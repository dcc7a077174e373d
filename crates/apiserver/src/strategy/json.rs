//! Whether bytes are a JSON object, and if not, why, in the words of upstream's parser.

/// What a document ends with before its time.
const END: &str = "unexpected end of JSON input";

type Step = Result<(), String>;

struct Scanner<'a> {
    rest: &'a [u8],
}

/// What is wrong; nothing when the bytes are an object (or null).
pub(super) fn object_error(bytes: &[u8]) -> Option<String> {
    if let Err(why) = (Scanner { rest: bytes }).document() {
        return Some(why);
    }
    let kind = match bytes.trim_ascii_start().first()? {
        b'{' | b'n' => return None,
        b'[' => "array",
        b'"' => "string",
        b't' | b'f' => "bool",
        _ => "number",
    };
    Some(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
}

impl Scanner<'_> {
    fn document(&mut self) -> Step {
        self.value(0)?;
        match self.peek() {
            Some(byte) => Err(invalid(byte, "after top-level value")),
            None => Ok(()),
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn value(&mut self, depth: usize) -> Step {
        const DEEPEST: usize = 10_000;
        match self.peek().ok_or(END)? {
            _ if depth > DEEPEST => Err("exceeded max depth".to_owned()),
            b'{' => self.list(depth, b'}', "looking for beginning of object key string", "after object key:value pair"),
            b'[' => self.list(depth, b']', "looking for beginning of value", "after array element"),
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.number(),
            byte => Err(invalid(byte, "looking for beginning of value")),
        }
    }

    /// An object or an array, by its end.
    fn list(&mut self, depth: usize, end: u8, entry: &str, after: &str) -> Step {
        self.next();
        if self.peek() == Some(end) {
            self.next();
            return Ok(());
        }
        loop {
            if end == b'}' {
                match self.peek().ok_or(END)? {
                    b'"' => self.string()?,
                    byte => return Err(invalid(byte, entry)),
                }
                match self.peek().ok_or(END)? {
                    b':' => drop(self.next()),
                    byte => return Err(invalid(byte, "after object key")),
                }
            }
            self.value(depth + 1)?;
            match self.peek().ok_or(END)? {
                b',' => drop(self.next()),
                byte if byte == end => {
                    self.next();
                    return Ok(());
                }
                byte => return Err(invalid(byte, after)),
            }
        }
    }

    fn string(&mut self) -> Step {
        self.next();
        loop {
            match self.next().ok_or(END)? {
                b'"' => return Ok(()),
                b'\\' => match self.next().ok_or(END)? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let digit = self.next().ok_or(END)?;
                            if !digit.is_ascii_hexdigit() {
                                return Err(invalid(digit, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    byte => return Err(invalid(byte, "in string escape code")),
                },
                byte if byte < 0x20 => return Err(invalid(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Step {
        for expected in word.bytes() {
            let byte = self.next().ok_or(END)?;
            if byte != expected {
                let place = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(invalid(byte, &place));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Step {
        let digits = |scanner: &mut Self, place: &str| match scanner.rest.first() {
            None => Err(END.to_owned()),
            Some(byte) if !byte.is_ascii_digit() => Err(invalid(*byte, place)),
            Some(_) => {
                let count = scanner.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                scanner.rest = &scanner.rest[count..];
                Ok(())
            }
        };
        if self.rest.first() == Some(&b'-') {
            self.next();
        }
        if self.rest.first() == Some(&b'0') {
            self.next();
        } else {
            digits(self, "in numeric literal")?;
        }
        if self.rest.first() == Some(&b'.') {
            self.next();
            digits(self, "after decimal point in numeric literal")?;
        }
        if matches!(self.rest.first(), Some(b'e' | b'E')) {
            self.next();
            if matches!(self.rest.first(), Some(b'+' | b'-')) {
                self.next();
            }
            digits(self, "in exponent of numeric literal")?;
        }
        Ok(())
    }
}

fn invalid(byte: u8, place: &str) -> String {
    let shown = match byte {
        b'\'' => "'\\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        byte => {
            let quoted = object::field::quote(&char::from(byte).to_string());
            format!("'{}'", quoted.trim_matches('"'))
        }
    };
    format!("invalid character {shown} {place}")
}

#[cfg(test)]
mod tests {
    use super::object_error;

    #[test]
    fn errors_are_upstreams() {
        for (text, expected) in [
            ("{}", None),
            (" {\"a\": [1, -2.5e3, true, null, \"\\u00e4\"]} ", None),
            ("null", None),
            ("", Some("unexpected end of JSON input")),
            ("{\"a\"", Some("unexpected end of JSON input")),
            ("[]", Some("json: cannot unmarshal array into Go value of type map[string]interface {}")),
            ("x", Some("invalid character 'x' looking for beginning of value")),
            ("{a}", Some("invalid character 'a' looking for beginning of object key string")),
            ("{\"a\" 1}", Some("invalid character '1' after object key")),
            ("{\"a\": 1 2}", Some("invalid character '2' after object key:value pair")),
            ("{} x", Some("invalid character 'x' after top-level value")),
            ("nil", Some("invalid character 'i' in literal null (expecting 'u')")),
        ] {
            assert_eq!(object_error(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }
}
