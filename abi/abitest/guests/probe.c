// probe.c calls any host function on request. Input: lines of
//   function TAB request [TAB data] LF
// Output: for each line the answer; where the answer names a block ("body", "data" or
// "value"), a TAB and the block; then LF. A number is written in decimal. Bytes of a
// request or of data are taken as they are, so neither can hold TAB or LF.
#include "env.h"

ENV(config_get) H x_config_get(H);
ENV(var_get) H x_var_get(H);
ENV(var_set) void x_var_set(H, H);
ENV(http_request) H x_http_request(H, H);
ENV(http_status_code) u32 x_http_status_code(void);
ENV(http_headers) H x_http_headers(void);
ENV(log_info) void x_log_info(H);
ENV(log_error) void x_log_error(H);
ENV(get_log_level) u32 x_get_log_level(void);
USER(create_elicitation) H u_create_elicitation(H);
USER(create_message) H u_create_message(H);
USER(get_keyring_secret) H u_get_keyring_secret(H);
USER(get_access_token) H u_get_access_token(H);
USER(list_roots) H u_list_roots(void);
USER(notify_logging_message) void u_notify_logging_message(H);
USER(notify_progress) void u_notify_progress(H);
USER(notify_tool_list_changed) void u_notify_tool_list_changed(void);
USER(no_such_function) H u_no_such_function(H);
HOST(fetch) H h_fetch(H, H);
HOST(fs_read) H h_fs_read(H);
HOST(fs_write) H h_fs_write(H, H);
HOST(fs_list) H h_fs_list(H);
HOST(fs_stat) H h_fs_stat(H);
HOST(fs_mkdir) H h_fs_mkdir(H);
HOST(fs_remove) H h_fs_remove(H);
HOST(fs_rename) H h_fs_rename(H);
HOST(secret_handle) H h_secret_handle(H);
HOST(kv_get) H h_kv_get(H);
HOST(kv_set) H h_kv_set(H, H);
HOST(kv_delete) H h_kv_delete(H);
HOST(kv_list) H h_kv_list(H);
HOST(log) void h_log(H);
HOST(progress) void h_progress(H);
HOST(now) u64 h_now(void);
HOST(monotonic) u64 h_monotonic(void);
HOST(random) H h_random(u64);
HOST(capabilities) H h_capabilities(void);
HOST(ask) H h_ask(H);

#define MAX (1u << 20)
static u8 in[MAX], out[MAX];
static u32 used;

static void emit(u8 c) {
	if (used < MAX) out[used++] = c;
}
static void emit_block(H h) {
	u64 n = x_length(h);
	for (u64 i = 0; i < n; i++) emit((u8)x_load_u8(h + i));
}
static void emit_number(u64 v) {
	u8 digits[20];
	int n = 0;
	do digits[n++] = '0' + v % 10; while (v /= 10);
	while (n) emit(digits[--n]);
}
static int same(const u8 *p, u64 n, const char *s) {
	for (u64 i = 0; i < n; i++)
		if (!s[i] || s[i] != (char)p[i]) return 0;
	return s[n] == 0;
}
// linked emits the block that the answer between from and used names under key.
static void linked(u32 from, const char *key) {
	u64 n = len(key);
	for (u32 i = from; i + n < used; i++) {
		u64 k = 0, h = 0;
		while (k < n && out[i + k] == (u8)key[k]) k++;
		if (k < n) continue;
		for (u32 j = i + n; out[j] >= '0' && out[j] <= '9'; j++) h = h * 10 + (out[j] - '0');
		if (h) {
			emit('\t');
			emit_block(h);
		}
		return;
	}
}
static void answer(H h) {
	u32 from = used;
	emit_block(h);
	u32 to = used;
	linked(from, "\"body\":");
	if (used == to) linked(from, "\"data\":");
	if (used == to) linked(from, "\"value\":");
	x_free(h);
}

static void one(const u8 *f, u64 fn, const u8 *rq, u64 rn, const u8 *dt, u64 dn) {
	H r = put(rq, rn), d = put(dt, dn);
#define IS(s) if (same(f, fn, s))
#define ONE(space, name) IS(#name) { answer(space##_##name(r)); return; }
#define TWO(space, name) IS(#name) { answer(space##_##name(r, d)); return; }
#define SAY(space, name) IS(#name) { space##_##name(r); return; }
	ONE(x, config_get) ONE(x, var_get)
	IS("var_set") { x_var_set(r, d); return; }
	IS("var_delete") { x_var_set(r, 0); return; }
	IS("http_request") {
		H b = x_http_request(r, d);
		x_free(r), x_free(d); // as PDKs do, before the answer is read
		H other = put((const u8 *)"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 40);
		emit_number(x_http_status_code()), emit(' '), answer(x_http_headers()), emit(' '), answer(b);
		x_free(other);
		return;
	}
	SAY(x, log_info) SAY(x, log_error)
	IS("get_log_level") { emit_number(x_get_log_level()); return; }
	ONE(u, create_elicitation) ONE(u, create_message) ONE(u, get_keyring_secret) ONE(u, get_access_token)
	IS("list_roots") { answer(u_list_roots()); return; }
	SAY(u, notify_logging_message) SAY(u, notify_progress)
	IS("notify_tool_list_changed") { u_notify_tool_list_changed(); return; }
	ONE(u, no_such_function)
	TWO(h, fetch) ONE(h, fs_read) TWO(h, fs_write) ONE(h, fs_list) ONE(h, fs_stat) ONE(h, fs_mkdir) ONE(h, fs_remove)
	ONE(h, fs_rename) ONE(h, secret_handle) ONE(h, kv_get) TWO(h, kv_set) ONE(h, kv_delete) ONE(h, kv_list)
	SAY(h, log) SAY(h, progress)
	IS("now") { emit_number(h_now()); return; }
	IS("monotonic") { emit_number(h_monotonic()); return; }
	IS("random") { answer(h_random(rn)); return; } // as many bytes as the request is long
	IS("random_many") { answer(h_random(65537)); return; }
	IS("capabilities") { answer(h_capabilities()); return; }
	ONE(h, ask)
	IS("error_set") { x_error_set(r); return; }
	IS("load_u8") { emit_number(x_load_u8(-1ull)); return; }
	IS("free_input") { x_free(x_input_offset()); emit_number(x_input_length()); return; }
	IS("input_length") { emit_number(x_input_length()); return; }
	emit('?');
}

EXPORT(probe) int probe(void) {
	u64 n = x_input_length();
	if (n > MAX) return 2;
	for (u64 i = 0; i < n; i++) in[i] = (u8)x_input_load_u8(i);
	for (u64 at = 0; at < n;) {
		u64 start[3] = {at, 0, 0}, end[3] = {0, 0, 0};
		int part = 0;
		u64 i = at;
		for (; i < n && in[i] != '\n'; i++)
			if (in[i] == '\t' && part < 2) {
				end[part++] = i;
				start[part] = i + 1;
			}
		end[part] = i;
		one(in + start[0], end[0] - start[0], in + start[1], end[1] - start[1], in + start[2], end[2] - start[2]);
		emit('\n');
		at = i + 1;
	}
	H h = put(out, used);
	x_output_set(h, used);
	return 0;
}
