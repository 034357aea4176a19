// env.h declares what the guests of this folder import. Handles are offsets into the
// host's kernel; 0 is null.
#ifndef GLOVEBOX_ENV_H
#define GLOVEBOX_ENV_H
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u64 H;
#define IMPORT(space, n) __attribute__((import_module(space), import_name(#n))) extern
#define ENV(n) IMPORT("extism:host/env", n)
#define USER(n) IMPORT("extism:host/user", n)
#define HOST(n) IMPORT("glovebox:host/v1", n)
#define WASI(n) IMPORT("wasi_snapshot_preview1", n)
#define EXPORT(n) __attribute__((export_name(#n)))

ENV(alloc) H x_alloc(u64);
ENV(free) void x_free(H);
ENV(length) u64 x_length(H);
ENV(load_u8) u32 x_load_u8(u64);
ENV(load_u64) u64 x_load_u64(u64);
ENV(store_u8) void x_store_u8(u64, u32);
ENV(store_u64) void x_store_u64(u64, u64);
ENV(input_length) u64 x_input_length(void);
ENV(input_offset) H x_input_offset(void);
ENV(input_load_u8) u32 x_input_load_u8(u64);
ENV(output_set) void x_output_set(u64, u64);
ENV(error_set) void x_error_set(H);

static inline H put(const u8 *p, u64 n) {
	H h = x_alloc(n);
	for (u64 i = 0; i < n; i++) x_store_u8(h + i, p[i]);
	return h;
}
static inline u64 len(const char *s) {
	u64 n = 0;
	while (s[n]) n++;
	return n;
}
static inline H str(const char *s) { return put((const u8 *)s, len(s)); }
#endif
