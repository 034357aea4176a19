#include "json.h"

#include <stdint.h>
#include <string.h>

static bool fail(json_reader *r, const char *why) {
	if (!r->error) r->error = why;
	r->at = r->end;
	return false;
}

static void space(json_reader *r) {
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

static bool take(json_reader *r, char c) {
	space(r);
	if (r->error || r->at >= r->end || *r->at != c) return false;
	r->at++;
	return true;
}

static bool enter(json_reader *r) {
	if (++r->depth > JSON_MAX_DEPTH) return fail(r, "nested too deeply");
	return true;
}

bool json_object(json_reader *r) {
	if (!take(r, '{')) return fail(r, "expected an object");
	return enter(r);
}

bool json_key(json_reader *r, bool *first, char *key, size_t size) {
	if (r->error) return false;
	if (take(r, '}')) {
		r->depth--;
		return false;
	}
	if (!*first && !take(r, ',')) return fail(r, "expected , or } in an object");
	*first = false;
	if (!json_string(r, key, size)) return false;
	if (!take(r, ':')) return fail(r, "expected : after a key");
	return true;
}

// utf8 returns the length of the well-formed sequence at s (Unicode table 3-7),
// or 0.
static size_t utf8(const unsigned char *s, size_t n) {
	if (s[0] < 0x80) return 1;
	size_t len = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
	if (len == 0 || len > n) return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80) return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

static bool hex4(json_reader *r, uint32_t *out) {
	if (r->end - r->at < 4) return fail(r, "bad \\u escape");
	uint32_t v = 0;
	for (int i = 0; i < 4; i++) {
		char c = *r->at++;
		int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
		if (d < 0) return fail(r, "bad \\u escape");
		v = v << 4 | (uint32_t)d;
	}
	*out = v;
	return true;
}

static size_t encode(uint32_t c, char *o) {
	if (c < 0x80) return o[0] = (char)c, 1;
	if (c < 0x800) return o[0] = (char)(0xc0 | c >> 6), o[1] = (char)(0x80 | (c & 0x3f)), 2;
	if (c < 0x10000)
		return o[0] = (char)(0xe0 | c >> 12), o[1] = (char)(0x80 | (c >> 6 & 0x3f)), o[2] = (char)(0x80 | (c & 0x3f)), 3;
	o[0] = (char)(0xf0 | c >> 18), o[1] = (char)(0x80 | (c >> 12 & 0x3f));
	o[2] = (char)(0x80 | (c >> 6 & 0x3f)), o[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

// escape reads what follows a backslash and stores its UTF-8 in o.
static size_t escape(json_reader *r, char *o) {
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (r->at >= r->end) return fail(r, "unterminated string"), 0;
	char c = *r->at++;
	const char *p = c ? strchr(from, c) : NULL;
	if (p) return o[0] = to[p - from], 1;
	uint32_t u, low;
	if (c != 'u') return fail(r, "unknown escape"), 0;
	if (!hex4(r, &u)) return 0;
	if (u == 0) return fail(r, "U+0000 in a string"), 0;
	if (u >= 0xdc00 && u <= 0xdfff) return fail(r, "lone surrogate"), 0;
	if (u >= 0xd800 && u <= 0xdbff) {
		if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u') return fail(r, "lone surrogate"), 0;
		r->at += 2;
		if (!hex4(r, &low)) return 0;
		if (low < 0xdc00 || low > 0xdfff) return fail(r, "lone surrogate"), 0;
		u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
	}
	return encode(u, o);
}

// string reads a string; with out == NULL it only checks it.
static bool string(json_reader *r, char *out, size_t size) {
	if (!take(r, '"')) return fail(r, "expected a string");
	size_t n = 0;
	for (;;) {
		if (r->at >= r->end) return fail(r, "unterminated string");
		char piece[4];
		size_t len;
		unsigned char c = (unsigned char)*r->at;
		if (c == '"') break;
		if (c < 0x20) return fail(r, "control character in a string");
		if (c == '\\') {
			r->at++;
			if (!(len = escape(r, piece))) return false;
		} else {
			len = utf8((const unsigned char *)r->at, (size_t)(r->end - r->at));
			if (!len) return fail(r, "invalid UTF-8");
			memcpy(piece, r->at, len);
			r->at += len;
		}
		if (!out) continue;
		if (n + len >= size) return fail(r, "string is too long");
		memcpy(out + n, piece, len);
		n += len;
	}
	r->at++;
	if (out) out[n] = 0;
	return true;
}

bool json_string(json_reader *r, char *out, size_t size) { return string(r, out, size); }

static size_t digits(json_reader *r) {
	size_t n = 0;
	while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++, n++;
	return n;
}

static bool number(json_reader *r) {
	if (r->at < r->end && *r->at == '-') r->at++;
	const char *start = r->at;
	size_t n = digits(r);
	if (n == 0 || (n > 1 && *start == '0')) return fail(r, "bad number");
	if (r->at < r->end && *r->at == '.' && (r->at++, digits(r) == 0)) return fail(r, "bad number");
	if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
		r->at++;
		if (r->at < r->end && (*r->at == '+' || *r->at == '-')) r->at++;
		if (digits(r) == 0) return fail(r, "bad number");
	}
	return true;
}

static bool word(json_reader *r, const char *w) {
	size_t n = strlen(w);
	if ((size_t)(r->end - r->at) < n || memcmp(r->at, w, n) != 0) return fail(r, "expected a value");
	r->at += n;
	return true;
}

static bool skip_array(json_reader *r) {
	if (!take(r, '[') || !enter(r)) return false;
	if (!take(r, ']')) {
		do {
			if (!json_skip(r)) return false;
		} while (take(r, ','));
		if (!take(r, ']')) return fail(r, "expected , or ] in an array");
	}
	r->depth--;
	return true;
}

static bool skip_object(json_reader *r) {
	if (!take(r, '{') || !enter(r)) return false;
	if (!take(r, '}')) {
		do {
			if (!string(r, NULL, 0)) return false;
			if (!take(r, ':')) return fail(r, "expected : after a key");
			if (!json_skip(r)) return false;
		} while (take(r, ','));
		if (!take(r, '}')) return fail(r, "expected , or } in an object");
	}
	r->depth--;
	return true;
}

bool json_skip(json_reader *r) {
	space(r);
	if (r->error || r->at >= r->end) return fail(r, "expected a value");
	switch (*r->at) {
	case '{': return skip_object(r);
	case '[': return skip_array(r);
	case '"': return string(r, NULL, 0);
	case 't': return word(r, "true");
	case 'f': return word(r, "false");
	case 'n': return word(r, "null");
	}
	return number(r);
}

bool json_end(json_reader *r) {
	space(r);
	if (r->error) return false;
	return r->at == r->end ? true : fail(r, "bytes after the document");
}

static void put(json_writer *w, const char *s, size_t n) {
	if (w->overflow || n > w->cap - w->len) {
		w->overflow = true;
		return;
	}
	memcpy(w->buf + w->len, s, n);
	w->len += n;
}

void json_raw(json_writer *w, const char *s) { put(w, s, strlen(s)); }

void json_quote(json_writer *w, const char *s) {
	static const char hex[] = "0123456789abcdef";
	put(w, "\"", 1);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\') {
			char e[2] = {'\\', (char)c};
			put(w, e, 2);
		} else if (c < 0x20 || c == 0x7f) {
			char e[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
			put(w, e, 6);
		} else {
			put(w, s, 1);
		}
	}
	put(w, "\"", 1);
}
