//! The grammar of JSON paths.

use serde_json::Value;

use super::{End, Filter, Operator, Slice, Step};

struct Parser<'a> {
    rest: &'a str,
}

pub(super) fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut parser = Parser { rest: text };
    let mut steps = Vec::new();
    while let Some(first) = parser.rest.chars().next() {
        if let Some(rest) = parser.rest.strip_prefix("[?(") {
            parser.rest = rest;
            steps.push(parser.filter()?);
        } else if let Some(rest) = parser.rest.strip_prefix("..") {
            if steps.last() == Some(&Step::Recursive) {
                return Err("invalid multiple recursive descent".to_owned());
            }
            parser.rest = rest;
            steps.push(Step::Recursive);
            if rest.starts_with(is_name) {
                steps.push(parser.field());
            }
        } else {
            match first {
                ' ' | '$' | '@' => parser.skip(first),
                '[' => {
                    parser.skip(first);
                    parser.brackets(&mut steps)?;
                }
                '"' | '\'' => {
                    parser.skip(first);
                    steps.push(Step::Literal(parser.quoted(first)?.into()));
                }
                '.' => {
                    parser.skip(first);
                    steps.push(parser.field());
                }
                '+' | '-' | '0'..='9' => steps.push(parser.number()?),
                // Only a path may start with a name: what looks like one later is a keyword.
                c if is_name(c) => steps.push(parser.word(steps.is_empty())?),
                c => return Err(format!("unrecognized character in action: {c:?}")),
            }
        }
    }
    Ok(steps)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn ends_name(c: char) -> bool {
    matches!(
        c,
        '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}' | ' ' | '\r' | '\n'
    )
}

impl<'a> Parser<'a> {
    fn skip(&mut self, c: char) {
        self.rest = &self.rest[c.len_utf8()..];
    }

    /// Takes everything before `end`, and `end`.
    fn until(&mut self, end: char, unterminated: &str) -> Result<&'a str, String> {
        let (taken, rest) = self
            .rest
            .split_once(end)
            .ok_or_else(|| unterminated.to_owned())?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes a name up to the punctuation that no backslash precedes.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                name.extend(chars.next().map(|(_, escaped)| escaped));
            } else if ends_name(c) {
                end = at;
                break;
            } else {
                name.push(c);
            }
        }
        self.rest = &self.rest[end..];
        name
    }

    fn field(&mut self) -> Step {
        match self.name() {
            name if name == "*" => Step::Wildcard,
            name => Step::Field(name),
        }
    }

    fn word(&mut self, first: bool) -> Result<Step, String> {
        match self.name().as_str() {
            "true" => Ok(Step::Literal(true.into())),
            "false" => Ok(Step::Literal(false.into())),
            word @ ("range" | "end") => Err(format!("{word} is not supported in a path")),
            word if first => Ok(Step::Field(word.to_owned())),
            word => Err(format!("unrecognized identifier {word}")),
        }
    }

    fn number(&mut self) -> Result<Step, String> {
        let signed = usize::from(self.rest.starts_with(['+', '-']));
        let digits = self.rest[signed..].find(|c: char| c != '.' && !c.is_ascii_digit());
        let end = digits.map_or(self.rest.len(), |digits| digits + signed);
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        let integer = text.parse::<i64>().map(Value::from);
        let number = integer.or_else(|_| text.parse::<f64>().map(Value::from));
        number
            .map(Step::Literal)
            .map_err(|_| format!("cannot parse number {text}"))
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.rest = &self.rest[at + c.len_utf8()..];
                return Ok(text);
            }
            if c == '\\' {
                match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, escaped)) => text.push(escaped),
                    None => {}
                }
            } else {
                text.push(c);
            }
        }
        Err("unterminated quoted string".to_owned())
    }

    /// What stands in brackets: a key, an index, a slice, or several of them.
    fn brackets(&mut self, steps: &mut Vec<Step>) -> Result<(), String> {
        let text = self.until(']', "unterminated array")?;
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if let [part] = parts.as_slice() {
            steps.extend(bracket(part)?);
        } else {
            let paths = parts.into_iter().map(bracket).collect::<Result<_, _>>()?;
            steps.push(Step::Union(paths));
        }
        Ok(())
    }

    fn filter(&mut self) -> Result<Step, String> {
        let mut quote = None;
        let end = self.rest.char_indices().find(|(_, c)| {
            match (quote, c) {
                (None, '"' | '\'') => quote = Some(*c),
                (Some(open), c) if open == *c => quote = None,
                _ => {}
            }
            quote.is_none() && *c == ')'
        });
        let (end, _) = end.ok_or("unterminated filter")?;
        let (condition, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix(")]").ok_or("unclosed array expect ]")?;
        let start = condition.find(['!', '<', '>', '=']);
        let Some(start) = start.filter(|start| *start > 0) else {
            let left = parse(condition)?;
            return Ok(Step::Filter(Filter {
                left,
                comparison: None,
            }));
        };
        let (left, rest) = condition.split_at(start);
        let length = rest
            .find(|c| !matches!(c, '!' | '<' | '>' | '='))
            .unwrap_or(rest.len());
        let (operator, right) = rest.split_at(length);
        let operator = match operator {
            "==" => Operator::Equal,
            "!=" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            other => return Err(format!("unrecognized filter operator {other}")),
        };
        Ok(Step::Filter(Filter {
            left: parse(left)?,
            comparison: Some((operator, parse(right)?)),
        }))
    }
}

/// One of the things that stand in brackets.
fn bracket(text: &str) -> Result<Vec<Step>, String> {
    if text == "*" {
        return Ok(vec![Step::Wildcard]);
    }
    if let Some(key) = text
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''))
    {
        // A key is read like a name after a dot: a dot in it needs its backslash here too.
        return parse(&format!(".{key}"));
    }
    let invalid = || format!("invalid array index {text}");
    let number = |text: &str| match text {
        "" => Ok(None),
        text => text.parse::<i64>().map(Some).map_err(|_| invalid()),
    };
    let parts: Vec<&str> = text.split(':').collect();
    let slice = match parts.as_slice() {
        [index] => Slice {
            start: number(index)?.ok_or_else(invalid)?,
            end: End::AfterOne,
            step: 1,
        },
        [start, end, step @ ..] if step.len() < 2 => Slice {
            start: number(start)?.unwrap_or(0),
            end: number(end)?.map_or(End::Last, End::Before),
            step: match number(step.first().unwrap_or(&""))? {
                None => 1,
                Some(step) => usize::try_from(step)
                    .ok()
                    .filter(|step| *step > 0)
                    .ok_or_else(invalid)?,
            },
        },
        _ => return Err(invalid()),
    };
    Ok(vec![Step::Slice(slice)])
}
