//! textstat: counts words and sentences, of a text or of a page that it fetches.
//!
//! The two exports are those of the hyper-mcp v2 interface: JSON in, JSON out.

mod host;
mod html;
mod json;
mod stats;

use json::{quote, Value};
use std::fmt::Write;

const TOOLS: &str = include_str!("tools.json");

#[no_mangle]
pub extern "C" fn list_tools() -> i32 {
    host::output(TOOLS.trim_end());
    0
}

#[no_mangle]
pub extern "C" fn call_tool() -> i32 {
    match call(&host::input()) {
        Ok(answer) => {
            host::output(&answer);
            0
        }
        Err(broken) => {
            host::error(broken);
            1
        }
    }
}

/// Runs one call. Err is for what is no call at all; a tool that cannot do its work
/// says so in its result.
fn call(input: &[u8]) -> Result<String, &'static str> {
    let document = json::parse(input)?;
    let request = document.get("request").ok_or("request is missing")?;
    let name = request.get("name").and_then(Value::text).ok_or("request.name: want a string")?;
    let outcome = match name {
        "analyse" => argument(request, "text").map(|text| stats::analyse(text)),
        "fetch_and_analyse" => argument(request, "url").and_then(fetch).map(|text| stats::analyse(&text)),
        _ => return Err("unknown tool: this skill has analyse and fetch_and_analyse"),
    };
    Ok(match outcome {
        Ok(stats) => report(&stats),
        Err(why) => failure(&why),
    })
}

/// The only argument of a tool.
fn argument<'a>(request: &'a Value, name: &str) -> Result<&'a str, String> {
    let arguments = request.get("arguments").ok_or_else(|| format!("argument {} is missing", name))?;
    if let Value::Object(members) = arguments {
        if let Some(other) = members.iter().find(|m| m.0 != name) {
            return Err(format!("unknown argument {}: this tool takes only {}", other.0, name));
        }
    }
    arguments.get(name).and_then(Value::text).ok_or_else(|| format!("argument {}: want a string", name))
}

fn fetch(url: &str) -> Result<String, String> {
    let mut request = String::from("{\"method\":\"GET\",\"headers\":{\"accept\":\"text/html, text/plain\"},\"url\":");
    quote(&mut request, url);
    request.push('}');
    let response = host::http(&request);
    let headers = json::parse(&response.headers).ok();
    let header = |name| headers.as_ref().and_then(|h| h.get(name)).and_then(Value::text).unwrap_or("");
    if !header("x-glovebox-error").is_empty() {
        return Err(refusal(&response.body));
    }
    if !(200..300).contains(&response.status) {
        return Err(format!("the server answered with status {}", response.status));
    }
    let body = String::from_utf8_lossy(&response.body);
    let kind = header("content-type").to_ascii_lowercase();
    match kind.split(';').next().unwrap_or("").trim() {
        "text/html" | "application/xhtml+xml" => Ok(html::text(&body)),
        other if other.is_empty() || other.starts_with("text/") => Ok(body.into_owned()),
        other => Err(format!("{} is not text", other)),
    }
}

/// What the host says about a request that it did not send: the reason, the rule
/// that decided, and what would change it.
fn refusal(body: &[u8]) -> String {
    let problem = json::parse(body).ok();
    let part = |name| problem.as_ref().and_then(|p| p.get(name)).and_then(Value::text).unwrap_or("");
    let mut text = format!("the host did not fetch the page: {}", part("detail"));
    for name in ["rule", "hint"] {
        if !part(name).is_empty() {
            let _ = write!(text, "\n{}: {}", name, part(name));
        }
    }
    text
}

fn failure(why: &str) -> String {
    let mut out = String::from("{\"content\":[{\"type\":\"text\",\"text\":");
    quote(&mut out, why);
    out.push_str("}],\"isError\":true}");
    out
}

fn report(s: &stats::Stats) -> String {
    let mut text = format!(
        "words: {}, sentences: {}, paragraphs: {}, characters: {}\nreading time: {} min {} s\n",
        s.words, s.sentences, s.paragraphs, s.characters, s.seconds() / 60, s.seconds() % 60
    );
    let mut data = format!(
        "{{\"words\":{},\"sentences\":{},\"paragraphs\":{},\"characters\":{},\"reading_seconds\":{},\"top_terms\":[",
        s.words, s.sentences, s.paragraphs, s.characters, s.seconds()
    );
    for (i, (term, count)) in s.top.iter().enumerate() {
        let _ = write!(text, "{}{} ({})", if i == 0 { "top terms: " } else { ", " }, term, count);
        data.push_str(if i == 0 { "{\"term\":" } else { ",{\"term\":" });
        quote(&mut data, term);
        let _ = write!(data, ",\"count\":{}}}", count);
    }
    if s.longest.0 > 0 {
        let _ = write!(text, "\nlongest sentence ({} words): {}", s.longest.0, s.longest.1);
    }
    let _ = write!(data, "],\"longest_sentence\":{{\"words\":{},\"text\":", s.longest.0);
    quote(&mut data, &s.longest.1);
    data.push_str("}}");
    let mut out = String::from("{\"content\":[{\"type\":\"text\",\"text\":");
    quote(&mut out, text.trim_end());
    let _ = write!(out, "}}],\"structuredContent\":{}}}", data);
    out
}
