// A strict JSON reader (RFC 8259) and a bounded writer.
//
// The reader trusts nothing: it refuses invalid UTF-8, raw control characters,
// lone surrogates, leading zeros, trailing bytes, duplicate keys that matter and
// nesting deeper than JSON_MAX_DEPTH.
#ifndef CALC_JSON_H
#define CALC_JSON_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_MAX_DEPTH 64

// json_reader walks over one document. After the first mistake error is set and
// every later call fails.
typedef struct {
	const char *at, *end;
	int depth;
	const char *error; // static text, or NULL
} json_reader;

// json_object enters an object; then json_key yields one key after the other
// until it returns false, which leaves the object.
bool json_object(json_reader *r);
bool json_key(json_reader *r, bool *first, char *key, size_t size);

// json_string reads a string into out as NUL-terminated UTF-8. A string that
// holds U+0000 or does not fit is an error.
bool json_string(json_reader *r, char *out, size_t size);

// json_skip reads any value and checks it.
bool json_skip(json_reader *r);

// json_end reports whether only white space is left.
bool json_end(json_reader *r);

// json_writer appends to a fixed buffer; overflow is sticky.
typedef struct {
	char *buf;
	size_t len, cap;
	bool overflow;
} json_writer;

void json_raw(json_writer *w, const char *s);
// json_quote writes s as a JSON string; bytes below 0x20 and 0x7f are escaped.
void json_quote(json_writer *w, const char *s);

#endif
