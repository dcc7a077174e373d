//! The text form of label selectors: a lexer and a recursive descent parser with upstream's error texts.

use super::{Operator, Requirement, SelectorError};
use crate::{
    field::{Error, Path},
    names,
};

/// Longer texts are refused before they are lexed.
const MAX_LENGTH: usize = 64 * 1024;
const BINARY_OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Less,
    NotEquals,
    Open,
    /// An identifier, which after a key may be the operator `in` or `notin`.
    Word(&'a str),
}

impl<'a> Token<'a> {
    fn literal(self) -> &'a str {
        match self {
            Token::End => "",
            Token::Close => ")",
            Token::Comma => ",",
            Token::Not => "!",
            Token::DoubleEquals => "==",
            Token::Equals => "=",
            Token::Greater => ">",
            Token::Less => "<",
            Token::NotEquals => "!=",
            Token::Open => "(",
            Token::Word(word) => word,
        }
    }
}

pub(super) fn selector(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    if text.len() > MAX_LENGTH {
        return Err(SelectorError(format!("selector of {} bytes is longer than {MAX_LENGTH}", text.len())));
    }
    Parser { tokens: lex(text), position: 0 }.selector()
}

fn lex(text: &str) -> Vec<Token<'_>> {
    let special = |c: char| matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<');
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, length) = if rest.starts_with("==") {
            (Token::DoubleEquals, 2)
        } else if rest.starts_with("!=") {
            (Token::NotEquals, 2)
        } else if rest.starts_with(special) {
            (symbol(rest.as_bytes()[0]), 1)
        } else {
            let end = rest.find(|c: char| special(c) || c.is_ascii_whitespace()).unwrap_or(rest.len());
            (Token::Word(&rest[..end]), end.max(1))
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    tokens.push(Token::End);
    tokens
}

fn symbol(byte: u8) -> Token<'static> {
    match byte {
        b'=' => Token::Equals,
        b'!' => Token::Not,
        b'(' => Token::Open,
        b')' => Token::Close,
        b',' => Token::Comma,
        b'>' => Token::Greater,
        _ => Token::Less,
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    position: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.position).copied().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.position += 1;
        token
    }

    fn selector(mut self) -> Result<Vec<Requirement>, SelectorError> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::End => return Ok(requirements),
                Token::Word(_) | Token::Not => {
                    let requirement = self
                        .requirement()
                        .map_err(|e| SelectorError(format!("unable to parse requirement: {}", e.0)))?;
                    requirements.push(requirement);
                }
                other => return Err(found(other, "!, identifier, or 'end of string'")),
            }
            match self.next() {
                Token::End => return Ok(requirements),
                Token::Comma if matches!(self.peek(), Token::Word(_) | Token::Not) => {}
                Token::Comma => return Err(found(self.peek(), "identifier after ','")),
                other => return Err(found(other, "',' or 'end of string'")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let negated = self.peek() == Token::Not;
        if negated {
            self.next();
        }
        let Token::Word(key) = self.next() else {
            return Err(found(self.tokens[self.position - 1], "identifier"));
        };
        let errors = names::qualified_name(key);
        if !errors.is_empty() {
            return Err(SelectorError(Error::invalid(&Path::new("<nil>"), key, errors.join("; ")).to_string()));
        }
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, []);
        }
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Requirement::new(key, Operator::Exists, []);
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.value()?],
        };
        Requirement::new(key, operator, values)
    }

    fn operator(&mut self) -> Result<Operator, SelectorError> {
        match self.next() {
            Token::Word("in") => Ok(Operator::In),
            Token::Word("notin") => Ok(Operator::NotIn),
            Token::Equals => Ok(Operator::Equals),
            Token::DoubleEquals => Ok(Operator::DoubleEquals),
            Token::NotEquals => Ok(Operator::NotEquals),
            Token::Greater => Ok(Operator::GreaterThan),
            Token::Less => Ok(Operator::LessThan),
            other => Err(found(other, BINARY_OPERATORS)),
        }
    }

    fn value(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            Token::End | Token::Comma => Ok(String::new()),
            Token::Word(word) => {
                self.next();
                Ok(word.to_owned())
            }
            other => Err(found(other, "identifier")),
        }
    }

    /// `(a,b)`; a missing word between separators is the empty value.
    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        match self.next() {
            Token::Open => {}
            other => return Err(SelectorError(format!("found '{}' expected: '('", other.literal()))),
        }
        let mut values = Vec::new();
        loop {
            match self.next() {
                Token::Word(word) => values.push(word.to_owned()),
                Token::Close => {
                    values.push(String::new());
                    return Ok(values);
                }
                Token::Comma => {
                    values.push(String::new());
                    continue;
                }
                other => return Err(found(other, "',', ')' or identifier")),
            }
            match self.next() {
                Token::Comma => {}
                Token::Close => return Ok(values),
                other => return Err(found(other, "',' or ')'")),
            }
        }
    }
}

fn found(token: Token<'_>, expected: &str) -> SelectorError {
    SelectorError(format!("found '{}', expected: {expected}", token.literal()))
}

#[cfg(test)]
mod tests {
    use super::super::LabelSelector;
    use serde_json::json;

    fn check(text: &str, canonical: &str) {
        assert_eq!(LabelSelector::parse(text).expect(text).to_string(), canonical, "{text}");
    }

    #[test]
    fn texts() {
        check("", "");
        check("a=b", "a=b");
        check(" b == c , a ", "a,b==c");
        check("x in (b,a), !y,z notin ()", "x in (a,b),!y,z notin ()");
        check("x in (a,,b)", "x in (,a,b)");
        check("a=", "a=");
        check("a!=b,c>1,d<2", "a!=b,c>1,d<2");
        check("in in (in)", "in in (in)");
    }

    #[test]
    fn refused() {
        for bad in
            ["a=b=c", "=a", "a,", ",a", "a b", "a in b", "a in (b", "!a=b", "a=b c", "a>x", "-a", "a=b!", "(", "x=y)"]
        {
            assert!(LabelSelector::parse(bad).is_err(), "{bad}");
        }
        let error = LabelSelector::parse("a,,b").expect_err("two commas");
        assert_eq!(error.0, "found ',', expected: identifier after ','");
    }

    #[test]
    fn matching() {
        let labels = json!({"a": "b", "n": "5"});
        for (text, expected) in [
            ("", true),
            ("a=b", true),
            ("a!=b", false),
            ("c!=b", true),
            ("a", true),
            ("!a", false),
            ("!c", true),
            ("a in (x,b)", true),
            ("c notin (x)", true),
            ("n>4", true),
            ("n<5", false),
        ] {
            assert_eq!(LabelSelector::parse(text).expect(text).matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn json_form() {
        let labels = json!({"a": "b"});
        let from = |value| LabelSelector::from_json(Some(&value));
        assert!(!LabelSelector::from_json(None).expect("absent").matches(&labels));
        assert!(from(json!({})).expect("empty").matches(&labels));
        let both = json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]});
        assert_eq!(from(both).expect("both").to_string(), "a=b,!c");
        let bad = json!({"matchExpressions": [{"key": "c", "operator": "Near"}]});
        assert_eq!(from(bad).expect_err("bad").0, "\"Near\" is not a valid label selector operator");
    }
}
