//! Counting words and sentences.

/// Words a minute of silent reading of non-fiction (Brysbaert 2019).
pub const WORDS_A_MINUTE: usize = 238;

const TOP: usize = 10;
const SHOWN: usize = 400; // characters of the longest sentence

/// Words that say nothing about what a text is about.
const STOP: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because", "been", "but", "by",
    "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if",
    "in", "into", "is", "it", "its", "just", "may", "me", "more", "most", "my", "no", "not", "of", "on", "one", "only",
    "or", "other", "our", "out", "over", "she", "should", "so", "some", "such", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "this", "those", "through", "to", "up", "was", "we", "were", "what", "when",
    "where", "which", "while", "who", "will", "with", "would", "you", "your",
];

/// Abbreviations whose full stop ends no sentence.
const ABBREVIATIONS: &[&str] =
    &["dr", "mr", "mrs", "ms", "prof", "st", "e.g", "i.e", "etc", "vs", "cf", "no", "fig", "al", "approx", "inc"];

/// What is known about a text.
pub struct Stats {
    pub characters: usize,
    pub words: usize,
    pub sentences: usize,
    pub paragraphs: usize,
    pub top: Vec<(String, usize)>,
    pub longest: (usize, String),
}

impl Stats {
    /// Seconds that a reader needs, rounded up.
    pub fn seconds(&self) -> usize {
        (self.words * 60 + WORDS_A_MINUTE - 1) / WORDS_A_MINUTE
    }
}

/// The words of a text: letters and digits, with apostrophes, hyphens and points inside.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’' | '-' | '.')))
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|w| !w.is_empty())
}

/// ends reports whether the mark at byte i ends a sentence.
fn ends(text: &str, i: usize, mark: char) -> bool {
    let after = &text[i + mark.len_utf8()..];
    if matches!(mark, '。' | '！' | '？') {
        return true;
    }
    let after = after.trim_start_matches(|c| matches!(c, '"' | '\'' | '”' | '’' | ')' | ']' | '.' | '!' | '?'));
    if !after.chars().next().map_or(true, char::is_whitespace) {
        return false; // 3.14, example.org
    }
    if after.trim_start().chars().next().map_or(false, char::is_lowercase) {
        return false; // an abbreviation or a quotation in the middle of a sentence
    }
    if mark != '.' {
        return true;
    }
    let last = text[..i].rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or("");
    let initial = last.chars().count() == 1 && last.chars().all(char::is_uppercase);
    !initial && !ABBREVIATIONS.contains(&last.to_lowercase().as_str())
}

/// Calls each with every sentence of a paragraph that holds a word.
fn sentences<'a>(paragraph: &'a str, each: &mut impl FnMut(&'a str)) {
    let mut start = 0;
    for (i, mark) in paragraph.char_indices() {
        if matches!(mark, '.' | '!' | '?' | '…' | '。' | '！' | '？') && ends(paragraph, i, mark) {
            let end = i + mark.len_utf8();
            each(&paragraph[start..end]);
            start = end;
        }
    }
    each(&paragraph[start..]);
}

/// Counts.
pub fn analyse(text: &str) -> Stats {
    let text = text.replace("\r\n", "\n");
    let mut stats =
        Stats { characters: text.chars().count(), words: 0, sentences: 0, paragraphs: 0, top: Vec::new(), longest: (0, String::new()) };
    let mut terms: Vec<String> = Vec::new();
    let mut longest = "";
    for paragraph in text.split("\n\n") {
        let before = stats.words;
        sentences(paragraph, &mut |sentence| {
            let mut count = 0;
            for word in words(sentence) {
                count += 1;
                let term = word.to_lowercase();
                let telling = term.chars().filter(|c| c.is_alphabetic()).count() > 1;
                if telling && STOP.binary_search(&term.as_str()).is_err() {
                    terms.push(term);
                }
            }
            stats.words += count;
            stats.sentences += usize::from(count > 0);
            if count > stats.longest.0 {
                stats.longest.0 = count;
                longest = sentence;
            }
        });
        stats.paragraphs += usize::from(stats.words > before);
    }
    stats.longest.1 = shorten(longest);
    stats.top = top(terms);
    stats
}

/// The most frequent terms, equal counts in alphabetical order.
fn top(mut terms: Vec<String>) -> Vec<(String, usize)> {
    terms.sort();
    let mut counted: Vec<(String, usize)> = Vec::new();
    for term in terms {
        match counted.last_mut() {
            Some(last) if last.0 == term => last.1 += 1,
            _ => counted.push((term, 1)),
        }
    }
    counted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counted.truncate(TOP);
    counted
}

/// shorten joins white space and cuts what is too long to show.
fn shorten(sentence: &str) -> String {
    let joined = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    match joined.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} […]", &joined[..end]),
        None => joined,
    }
}
