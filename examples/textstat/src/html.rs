//! The visible text of an HTML page, good enough for counting.

/// Elements whose content is not text.
const HIDDEN: &[&str] = &["script", "style", "noscript", "template", "svg", "head"];

/// Elements that begin a new paragraph.
const BLOCKS: &[&str] = &[
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption", "footer", "h1", "h2",
    "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "td", "th",
    "tr", "ul",
];

/// Removes markup, scripts and styles and decodes the common entities.
pub fn text(page: &str) -> String {
    let mut out = String::with_capacity(page.len() / 2);
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        decode(&rest[..open], &mut out);
        rest = &rest[open..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let name: String = rest[1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect();
        let name = name.to_ascii_lowercase();
        if name.is_empty() && !rest.starts_with("<!") && !rest.starts_with("<?") {
            out.push('<');
            rest = &rest[1..];
            continue;
        }
        rest = rest.find('>').map_or("", |end| &rest[end + 1..]);
        if HIDDEN.contains(&name.as_str()) {
            rest = after_close(rest, &name);
        }
        if BLOCKS.contains(&name.trim_matches('/')) {
            out.push_str("\n\n");
        }
    }
    decode(rest, &mut out);
    out
}

/// after_close skips to behind the closing tag of name.
fn after_close<'a>(rest: &'a str, name: &str) -> &'a str {
    let close = format!("</{}", name);
    let bytes = rest.as_bytes();
    let found = (0..bytes.len().saturating_sub(close.len() - 1))
        .find(|&i| bytes[i] == b'<' && bytes[i..i + close.len()].eq_ignore_ascii_case(close.as_bytes()));
    match found {
        Some(at) => rest[at..].find('>').map_or("", |end| &rest[at + end + 1..]),
        None => "",
    }
}

fn decode(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|b| b == b';');
        match end.and_then(|end| entity(&rest[1..end])) {
            Some(c) => {
                out.push(c);
                rest = &rest[end.unwrap_or(0) + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(|c| c == 'x' || c == 'X') {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?).filter(|c| !c.is_control());
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "mdash" => '—',
        "ndash" => '–',
        "hellip" => '…',
        "rsquo" => '’',
        _ => return None,
    })
}
