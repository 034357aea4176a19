// Helpers for small freestanding plugins: no libc, no allocator, static buffers.
#ifndef INTEROP_PLUGIN_H
#define INTEROP_PLUGIN_H

#include <stdint.h>

#define ENV(n) __attribute__((import_module("extism:host/env"), import_name(#n))) extern
#define USER(n) __attribute__((import_module("extism:host/user"), import_name(#n))) extern
#define EXPORT(n) __attribute__((export_name(#n)))

ENV(alloc) uint64_t env_alloc(uint64_t);
ENV(length) uint64_t env_length(uint64_t);
ENV(load_u8) uint32_t env_load_u8(uint64_t);
ENV(store_u8) void env_store_u8(uint64_t, uint32_t);
ENV(store_u64) void env_store_u64(uint64_t, uint64_t);
ENV(input_length) uint64_t env_input_length(void);
ENV(input_offset) uint64_t env_input_offset(void);
ENV(input_load_u8) uint32_t env_input_load_u8(uint64_t);
ENV(output_set) void env_output_set(uint64_t, uint64_t);
ENV(error_set) void env_error_set(uint64_t);

static char in[65536], out[131072];
static uint32_t in_len, out_len;

static uint32_t len(const char *s) {
	uint32_t n = 0;
	while (s[n]) n++;
	return n;
}

static void read_input(void) {
	in_len = (uint32_t)env_input_length();
	if (in_len >= sizeof in) __builtin_trap();
	for (uint32_t i = 0; i < in_len; i++) in[i] = (char)env_input_load_u8(i);
	in[in_len] = 0;
}

// find returns the position of needle in the input, or -1.
static int32_t find(const char *needle) {
	uint32_t n = len(needle);
	for (uint32_t i = 0; i + n <= in_len; i++) {
		uint32_t k = 0;
		while (k < n && in[i + k] == needle[k]) k++;
		if (k == n) return (int32_t)i;
	}
	return -1;
}

static void put(char c) {
	if (out_len < sizeof out) out[out_len++] = c;
}

static void add(const char *s) {
	while (*s) put(*s++);
}

// quote adds n bytes as the inside of a JSON string.
static void quote(const char *s, uint32_t n) {
	for (uint32_t i = 0; i < n; i++) {
		if (s[i] == '"' || s[i] == '\\') put('\\');
		put(s[i]);
	}
}

static uint64_t block(const char *s, uint32_t n) {
	uint64_t h = env_alloc(n);
	for (uint32_t i = 0; i < n; i++) env_store_u8(h + i, (uint8_t)s[i]);
	return h;
}

static int32_t finish(void) {
	env_output_set(block(out, out_len), out_len);
	return 0;
}

static int32_t answer(const char *s) {
	add(s);
	return finish();
}

static int32_t fail(const char *s) {
	env_error_set(block(s, len(s)));
	return 1;
}

// text answers with one text item that holds n bytes.
static int32_t text(const char *s, uint32_t n) {
	add("{\"content\":[{\"type\":\"text\",\"text\":\"");
	quote(s, n);
	return answer("\"}]}");
}

#endif
