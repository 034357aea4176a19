//! A small strict JSON reader (RFC 8259) and the quoting of strings.

const MAX_DEPTH: usize = 64;
const MAX_MEMBERS: usize = 256; // of one object: the search for duplicates is linear

/// A value. Numbers keep their spelling, since nothing here computes with them.
pub enum Value {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().find(|m| m.0 == key).map(|m| &m.1),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::String(s) => Some(s),
            _ => None,
        }
    }
}

/// Parses one document; a duplicate key is an error.
pub fn parse(bytes: &[u8]) -> Result<Value, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "input is not UTF-8")?;
    let mut p = Parser { rest: text, depth: 0 };
    let value = p.value()?;
    p.space();
    if p.rest.is_empty() { Ok(value) } else { Err("bytes after the JSON document") }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Result<Value, &'static str> {
        self.space();
        match self.rest.as_bytes().first() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.take("true") => Ok(Value::Bool(true)),
            _ if self.take("false") => Ok(Value::Bool(false)),
            _ if self.take("null") => Ok(Value::Null),
            _ => Err("expected a JSON value"),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, &'static str>) -> Result<Value, &'static str> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("JSON is nested too deeply");
        }
        self.rest = &self.rest[1..];
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn array(&mut self) -> Result<Value, &'static str> {
        let mut items = Vec::new();
        self.space();
        if self.take("]") {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.space();
            if self.take("]") {
                return Ok(Value::Array(items));
            }
            if !self.take(",") {
                return Err("expected , or ] in an array");
            }
        }
    }

    fn object(&mut self) -> Result<Value, &'static str> {
        let mut members: Vec<(String, Value)> = Vec::new();
        self.space();
        if self.take("}") {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            if !self.take(":") {
                return Err("expected : after a key");
            }
            if members.iter().any(|m| m.0 == key) {
                return Err("duplicate key in an object");
            }
            if members.len() == MAX_MEMBERS {
                return Err("too many members in an object");
            }
            members.push((key, self.value()?));
            self.space();
            if self.take("}") {
                return Ok(Value::Object(members));
            }
            if !self.take(",") {
                return Err("expected , or } in an object");
            }
        }
    }

    fn number(&mut self) -> Result<Value, &'static str> {
        let all = self.rest;
        self.take("-");
        let whole = self.digits();
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return Err("bad number");
        }
        if self.take(".") && self.digits().is_empty() {
            return Err("bad number");
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            if self.digits().is_empty() {
                return Err("bad number");
            }
        }
        Ok(Value::Number(all[..all.len() - self.rest.len()].to_string()))
    }

    fn digits(&mut self) -> &'a str {
        let end = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits
    }

    fn string(&mut self) -> Result<String, &'static str> {
        if !self.take("\"") {
            return Err("expected a string");
        }
        let mut out = String::new();
        loop {
            let plain = self.rest.find(|c| c == '"' || c == '\\' || c < ' ').ok_or("unterminated string")?;
            out.push_str(&self.rest[..plain]);
            self.rest = &self.rest[plain..];
            if self.take("\"") {
                return Ok(out);
            }
            if !self.take("\\") {
                return Err("control character in a string");
            }
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, &'static str> {
        let c = self.rest.chars().next().ok_or("unterminated string")?;
        self.rest = &self.rest[c.len_utf8()..];
        Ok(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let mut code = self.hex()?;
                if (0xd800..0xdc00).contains(&code) && self.take("\\u") {
                    let low = self.hex()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err("lone surrogate");
                    }
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                }
                char::from_u32(code).ok_or("lone surrogate")?
            }
            _ => return Err("unknown escape"),
        })
    }

    fn hex(&mut self) -> Result<u32, &'static str> {
        let digits = self.rest.get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).ok_or("bad \\u escape")?;
        self.rest = &self.rest[4..];
        u32::from_str_radix(digits, 16).map_err(|_| "bad \\u escape")
    }
}

/// Appends s as a JSON string.
pub fn quote(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c < ' ' || c == '\u{7f}' => {
                out.push_str("\\u00");
                for shift in [4, 0] {
                    out.push(char::from_digit((c as u32 >> shift) & 15, 16).unwrap_or('0'));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
