//! The grammar of label selectors.
//!
//! Keywords are names where a name is expected, white space separates, and a value may be empty.
//! The messages are those that the API gives.

use std::collections::BTreeSet;

use super::{LabelSelector, Requirement, Test};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    End,
    Word(&'a str),
    Open,
    Close,
    Comma,
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    Greater,
    Less,
}

impl<'a> Token<'a> {
    /// How it is shown in a message.
    fn text(self) -> &'a str {
        match self {
            Self::End => "",
            Self::Word(word) => word,
            Self::Open => "(",
            Self::Close => ")",
            Self::Comma => ",",
            Self::Not => "!",
            Self::Equals => "=",
            Self::DoubleEquals => "==",
            Self::NotEquals => "!=",
            Self::Greater => ">",
            Self::Less => "<",
        }
    }
}

#[derive(Debug)]
struct Parser<'a> {
    rest: &'a str,
    ahead: Token<'a>,
}

pub(super) fn parse(text: &str) -> Result<LabelSelector, String> {
    let mut parser = Parser {
        rest: text,
        ahead: Token::End,
    };
    parser.next();
    let mut requirements = Vec::new();
    loop {
        match parser.ahead {
            Token::End => break,
            Token::Word(_) | Token::Not => {}
            other => {
                return Err(format!(
                    "found '{}', expected: !, identifier, or 'end of string'",
                    other.text()
                ));
            }
        }
        let requirement = parser
            .requirement()
            .map_err(|why| format!("unable to parse requirement: {why}"))?;
        requirements.push(requirement);
        match parser.next() {
            Token::End => break,
            Token::Comma => match parser.ahead {
                Token::Word(_) | Token::Not => {}
                other => {
                    return Err(format!(
                        "found '{}', expected: identifier after ','",
                        other.text()
                    ));
                }
            },
            other => {
                return Err(format!(
                    "found '{}', expected: ',' or 'end of string'",
                    other.text()
                ));
            }
        }
    }
    Ok(LabelSelector::of(requirements))
}

impl<'a> Parser<'a> {
    /// Takes the token ahead.
    fn next(&mut self) -> Token<'a> {
        let current = self.ahead;
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let symbols = [
            ("==", Token::DoubleEquals),
            ("!=", Token::NotEquals),
            ("=", Token::Equals),
            ("!", Token::Not),
            (">", Token::Greater),
            ("<", Token::Less),
            ("(", Token::Open),
            (")", Token::Close),
            (",", Token::Comma),
        ];
        self.ahead = if let Some((symbol, token)) = symbols
            .into_iter()
            .find(|(symbol, _)| self.rest.starts_with(symbol))
        {
            self.rest = &self.rest[symbol.len()..];
            token
        } else {
            let end = self
                .rest
                .find([' ', '\t', '\r', '\n', '=', '!', '>', '<', '(', ')', ','])
                .unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            match word {
                "" => Token::End,
                word => Token::Word(word),
            }
        };
        current
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.ahead == Token::Not;
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        // A bad key is told before a bad operator.
        Requirement::new(key, Test::Exists)?;
        if absent {
            return Requirement::new(key, Test::Absent);
        }
        if matches!(self.ahead, Token::End | Token::Comma) {
            return Requirement::new(key, Test::Exists);
        }
        let test = match self.next() {
            Token::Word("in") => Test::In(self.values()?),
            Token::Word("notin") => Test::NotIn(self.values()?),
            Token::Equals | Token::DoubleEquals => Test::Equals(self.value()?.to_owned()),
            Token::NotEquals => Test::NotEquals(self.value()?.to_owned()),
            Token::Greater => Test::GreaterThan(self.number()?),
            Token::Less => Test::LessThan(self.number()?),
            other => {
                return Err(format!(
                    "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                    other.text()
                ));
            }
        };
        Requirement::new(key, test)
    }

    /// One value, which may be empty.
    fn value(&mut self) -> Result<&'a str, String> {
        if matches!(self.ahead, Token::End | Token::Comma) {
            return Ok("");
        }
        match self.next() {
            Token::Word(value) => Ok(value),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.value()?;
        value.parse().map_err(|_| {
            format!(
                "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            )
        })
    }

    /// Values in parentheses; nothing between two commas is the empty value.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        match self.next() {
            Token::Open => {}
            other => return Err(format!("found '{}' expected: '('", other.text())),
        }
        let mut values = BTreeSet::new();
        if self.ahead == Token::Close {
            self.next();
            return Ok(values);
        }
        loop {
            match self.ahead {
                Token::Word(value) => {
                    values.insert(value.to_owned());
                    self.next();
                }
                Token::Comma | Token::Close => {
                    values.insert(String::new());
                }
                other => {
                    return Err(format!(
                        "found '{}', expected: ',', ')' or identifier",
                        other.text()
                    ));
                }
            }
            match self.next() {
                Token::Comma => {}
                Token::Close => return Ok(values),
                other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
            }
        }
    }
}
