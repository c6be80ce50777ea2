//! JSON: RFC 8259, with the place of everything.

use serde_json::Number;

use super::node::{Builder, Fault, Fields, Kind, MAX_DEPTH, Mark, Node};

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    /// Up to here the characters of the line are counted.
    counted: usize,
    column: u32,
    builder: &'a mut Builder,
}

/// Reads a file with one value.
///
/// # Errors
///
/// The fault behind which nothing could be read; those before it are with the builder.
pub(super) fn parse(text: &str, builder: &mut Builder) -> Result<Node, Fault> {
    let mut reader = Reader {
        text,
        at: 0,
        line: 1,
        counted: 0,
        column: 1,
        builder,
    };
    let node = reader.value(0)?;
    reader.skip_space();
    match reader.rest() {
        "" => Ok(node),
        _ => Err(reader.fault("something follows the end of the value")),
    }
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn mark(&mut self) -> Mark {
        let since = self.text.get(self.counted..self.at).unwrap_or_default();
        let since = u32::try_from(since.chars().count()).unwrap_or(u32::MAX);
        self.column = self.column.saturating_add(since);
        self.counted = self.at;
        Mark {
            line: self.line,
            column: self.column,
        }
    }

    fn fault(&mut self, what: impl std::fmt::Display) -> Fault {
        Fault::new(self.mark(), format!("not JSON: {what}"))
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.counted = self.at + 1;
                    self.column = 1;
                }
                b' ' | b'\t' | b'\r' => {}
                _ => break,
            }
            self.at += 1;
        }
    }

    /// Takes a sign if it comes next.
    fn eat(&mut self, sign: &str) -> bool {
        self.skip_space();
        let comes = self.rest().starts_with(sign);
        if comes {
            self.at += sign.len();
        }
        comes
    }

    fn expect(&mut self, sign: &str, place: &str) -> Result<(), Fault> {
        match self.eat(sign) {
            true => Ok(()),
            false => Err(self.fault(format!("'{sign}' is missing {place}"))),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        self.skip_space();
        let at = self.mark();
        if depth > MAX_DEPTH {
            let what = format!("more than {MAX_DEPTH} mappings and lists in each other");
            return Err(Fault::new(at, what));
        }
        self.builder.spend(at, 0)?;
        let kind = match self.rest().as_bytes().first().copied() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?),
            _ if self.eat("null") => Kind::Null,
            _ if self.eat("true") => Kind::Bool(true),
            _ if self.eat("false") => Kind::Bool(false),
            None => return Err(self.fault("the file ends where a value is missing")),
            Some(_) => return Err(self.fault("no value begins like this")),
        };
        Ok(Node { at, kind })
    }

    fn object(&mut self, depth: usize) -> Result<Kind, Fault> {
        self.expect("{", "here")?;
        let mut fields = Fields::new();
        if self.eat("}") {
            return Ok(Kind::Map(fields));
        }
        loop {
            self.skip_space();
            let at = self.mark();
            if !self.rest().starts_with('"') {
                return Err(self.fault("a key is missing, in double quotes"));
            }
            let key = self.string()?;
            self.expect(":", "behind the key")?;
            let node = self.value(depth + 1)?;
            self.builder.insert(&mut fields, (at, key), node)?;
            if self.eat("}") {
                return Ok(Kind::Map(fields));
            }
            self.expect(",", "or '}' behind the value")?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Kind, Fault> {
        self.expect("[", "here")?;
        let mut items = Vec::new();
        if self.eat("]") {
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat("]") {
                return Ok(Kind::List(items));
            }
            self.expect(",", "or ']' behind the value")?;
        }
    }

    /// The text in the quotes that begin here; what stands in them is judged by serde_json.
    fn string(&mut self) -> Result<String, Fault> {
        let at = self.mark();
        let mut escaped = true; // the opening quote does not close
        let mut length = 0;
        for byte in self.rest().bytes() {
            length += 1;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    let token = self.rest().get(..length).unwrap_or_default();
                    let text: String = serde_json::from_str(token).map_err(|_| {
                        Fault::new(at, "not JSON: the text has an escape or a sign that JSON forbids")
                    })?;
                    self.builder.spend(at, text.len())?;
                    self.at += length;
                    return Ok(text);
                }
                _ => {}
            }
        }
        Err(Fault::new(at, "not JSON: the quote is never closed"))
    }

    fn number(&mut self) -> Result<Number, Fault> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let length = self.rest().bytes().take_while(is_part).count();
        let token = self.rest().get(..length).unwrap_or_default();
        match serde_json::from_str(token) {
            Ok(number) => {
                self.at += length;
                Ok(number)
            }
            Err(_) => Err(self.fault("a number that is none, or too large")),
        }
    }
}
