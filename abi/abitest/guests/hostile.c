// hostile.c holds one attack per export; none may hurt the host.
#include "env.h"

ENV(config_get) H x_config_get(H);
ENV(log_info) void x_log_info(H);
ENV(var_set) void x_var_set(H, H);
WASI(poll_oneoff) u32 w_poll(const void *, void *, u32, u32 *);
WASI(clock_time_get) u32 w_clock(u32, u64, u64 *);
WASI(sched_yield) u32 w_yield(void);
WASI(fd_write) u32 w_write(u32, const void *, u32, u32 *);
WASI(path_open) u32 w_open(u32, u32, const char *, u32, u32, u64, u64, u32, u32 *);
WASI(fd_prestat_get) u32 w_prestat(u32, void *);
WASI(sock_send) u32 w_send(u32, const void *, u32, u32, u32 *);
WASI(random_get) u32 w_random(void *, u32);
WASI(proc_exit) void w_exit(u32);

static volatile u32 sink;

EXPORT(ok) int ok(void) { H h = str("fine"); x_output_set(h, 4); return 0; }
EXPORT(spin) int spin(void) { for (;;) sink++; }
EXPORT(trap) int trap(void) { __builtin_trap(); }
EXPORT(fail_code) int fail_code(void) { return 7; }
EXPORT(fail_text) int fail_text(void) { x_error_set(str("bad \x1b[31mthing\xe2\x80\xae end")); return 0; }
EXPORT(exit_0) int exit_0(void) { H h = str("bye"); x_output_set(h, 3); w_exit(0); return 9; }
EXPORT(exit_3) int exit_3(void) { w_exit(3); return 0; }
EXPORT(exit_cancelled) int exit_cancelled(void) { w_exit(0xffffffffu); return 0; } // what wazero itself uses

__attribute__((noinline)) static u32 down(u32 n) { sink = n; u32 r = down(n + 1); sink = r; return r + 1; }
EXPORT(recurse) int recurse(void) { return (int)down(1); }
static u32 pong(u32);
__attribute__((noinline)) static u32 ping(u32 n) { sink = n; return pong(n + 1) + 1; }
__attribute__((noinline)) static u32 pong(u32 n) { sink = n; return ping(n + 1) + 1; }
EXPORT(mutual) int mutual(void) { return (int)ping(1); }

EXPORT(grow) int grow(void) {
	while (__builtin_wasm_memory_grow(0, 1) != -1ul) sink++;
	__builtin_trap();
}
EXPORT(grow_politely) int grow_politely(void) {
	H h = str("fine");
	while (__builtin_wasm_memory_grow(0, 1) != -1ul) sink++;
	x_output_set(h, 4);
	return 0;
}
EXPORT(grow_jump) int grow_jump(void) {
	if (__builtin_wasm_memory_grow(0, 5000) == -1ul) __builtin_trap(); // 312 MiB at once
	return 0;
}
EXPORT(kernel_alloc) int kernel_alloc(void) { for (;;) x_alloc(1 << 16); }
EXPORT(kernel_alloc_tiny) int kernel_alloc_tiny(void) { for (;;) x_alloc(1); }
EXPORT(kernel_alloc_huge) int kernel_alloc_huge(void) { return x_alloc(-1ull) == 0; }
EXPORT(both) int both(void) {
	for (;;) {
		x_alloc(1 << 16);
		if (__builtin_wasm_memory_grow(0, 1) == -1ul) __builtin_trap();
	}
}
EXPORT(host_calls) int host_calls(void) { for (;;) w_yield(); }
EXPORT(log_flood) int log_flood(void) {
	for (int i = 0; i < 50000; i++) x_log_info(str("line"));
	return ok();
}
EXPORT(log_long) int log_long(void) {
	H h = x_alloc(1 << 20);
	for (u64 i = 0; i < 1 << 20; i += 8) x_store_u64(h + i, 0x6161616161616161ull);
	x_log_info(h);
	x_log_info(str("two\nlines \x1b[2Jclear"));
	return ok();
}
EXPORT(print_flood) int print_flood(void) {
	static const char text[] = "some text that has no end";
	struct { const char *p; u32 n; } v[2] = {{text, sizeof text - 1}, {text, sizeof text - 1}};
	u32 n;
	for (int i = 0; i < 50000; i++)
		if (w_write(1, v, 2, &n)) return 1;
	return ok();
}
EXPORT(output) int output(void) { // as many bytes as the input says in decimal
	u64 n = 0;
	for (u64 i = 0; i < x_input_length(); i++) n = n * 10 + (x_input_load_u8(i) - '0');
	x_output_set(x_alloc(n), n);
	return 0;
}
EXPORT(output_outside) int output_outside(void) { x_output_set(4096, 1ull << 63); return 0; }
EXPORT(output_input) int output_input(void) { x_output_set(x_input_offset(), x_input_length()); return 0; }
EXPORT(vars) int vars(void) { // as many bytes as the input is long: 1 of the name, the rest value
	H v = x_alloc(x_input_length() - 1);
	x_var_set(str("k"), v);
	return ok();
}

struct sub { u64 user; u8 kind, pad[7]; u32 id, pad2; u64 at, precision; u32 flags, pad3; };
EXPORT(sleep) int sleep_hour(void) {
	struct sub s = {1, 0, {0}, 1, 0, 3600ull * 1000000000ull, 0, 0, 0};
	u8 ev[32];
	u32 n;
	return (int)w_poll(&s, ev, 1, &n);
}
EXPORT(nap) int nap(void) {
	struct sub s = {1, 0, {0}, 1, 0, 30ull * 1000000ull, 0, 0, 0};
	u8 ev[32];
	u32 n;
	u64 a, b;
	w_clock(1, 0, &a);
	if (w_poll(&s, ev, 1, &n) || n != 1) return 1;
	w_clock(1, 0, &b);
	if (b - a < 30000000ull) return 2;
	return ok();
}
EXPORT(clock_poll) int clock_poll(void) {
	u64 a, b;
	w_clock(1, 0, &a);
	do w_clock(1, 0, &b); while (b - a < 3600ull * 1000000000ull);
	return 0;
}
EXPORT(wasi_files) int wasi_files(void) {
	u32 fd, n;
	u8 buf[8];
	if (w_prestat(3, buf) != 8) return 1;
	if (w_open(3, 0, "etc/passwd", 10, 0, -1ull, -1ull, 0, &fd) != 8) return 2;
	if (w_send(3, buf, 1, 0, &n) != 8) return 3;
	if (w_write(7, buf, 0, &n) != 8) return 4;
	return ok();
}
EXPORT(wasi_pointers) int wasi_pointers(void) { // each must be refused, none may pass the memory's end
	if (w_random((void *)0xfffffff0u, 0xffffffffu) != 21) return 1;
	if (w_write(1, (void *)0xfffffff0u, 1000, (u32 *)8) != 21) return 2;
	if (w_write(1, (void *)0, 0xffffffffu, (u32 *)8) != 28) return 3;
	if (w_poll((void *)0xfffffff0u, (void *)0, 8, (u32 *)0) != 21) return 4;
	if (w_poll((void *)0, (void *)0, 0xffffffffu, (u32 *)0) != 28) return 5;
	if (w_clock(1, 0, (u64 *)0xffffffffu) != 21) return 6;
	return ok();
}
EXPORT(handle_bad) int handle_bad(void) { x_config_get(12345); return 0; }
EXPORT(handle_inside) int handle_inside(void) { x_config_get(str("abc") + 1); return 0; }

static u32 kept; // what one call leaves must not be there for the next
EXPORT(remember) int remember(void) {
	H old = x_config_get(str("none"));
	if (kept++ || old || x_load_u64(x_alloc(8))) return 1;
	__builtin_wasm_memory_grow(0, 1);
	return ok();
}
EXPORT(random) int random_bytes(void) {
	u8 b[16];
	w_random(b, 16);
	x_output_set(put(b, 16), 16);
	return 0;
}
EXPORT(kernel_edges) int kernel_edges(void) { // input: one digit
	H h = x_alloc(8);
	u64 end = 4096;
	switch (x_input_load_u8(0)) {
	case '0': x_load_u8(0); break;
	case '1': x_load_u8(63); break;
	case '2': x_load_u64(1ull << 32); break;
	case '3': x_load_u64(1ull << 63); break;
	case '4': x_load_u64(-1ull); break;
	case '5': x_load_u64(-8ull); break;
	case '6': x_store_u64(-4ull, 1); break;
	case '7': x_store_u8(1ull << 32, 1); break;
	case '8': x_load_u64(end - 8 + 1); break;
	case '9': x_load_u8(h + (1ull << 40)); break;
	case 'a': x_load_u64(h + 64); return ok(); // the slack behind a block
	case 'b': // free twice, inside, null, unknown, then use
		x_free(h), x_free(h), x_free(h + 1), x_free(0), x_free(77777);
		if (x_length(h) || x_length(x_alloc(0))) return 1;
		x_load_u64(h);
		return ok();
	case 'c': x_free(x_input_offset()); return x_input_length() ? 1 : ok();
	}
	return 0;
}
