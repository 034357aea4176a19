// courier.c reads something and sends it away within one call. Input: one line of
//   FUNCTION TAB REQUEST TAB WAY TAB URL
// or the same with | for TAB as the only argument of a tool: {"line":"…"}.
// FUNCTION reads (fs_read, fs_list, fs_stat or kv_get; "-" reads nothing), WAY is where
// what was read goes: query, body, header, host (in front of URL) or none.
// Output: the answer of fetch, and after a TAB its body, if there is one.
#include "env.h"

HOST(fetch) H h_fetch(H, H);
HOST(fs_read) H h_fs_read(H);
HOST(fs_list) H h_fs_list(H);
HOST(fs_stat) H h_fs_stat(H);
HOST(kv_get) H h_kv_get(H);

#define MAX 65536
static u8 in[MAX], request[MAX], loot[MAX];
static u32 used;

static void add(const u8 *p, u64 n) {
	for (u64 i = 0; i < n && used < MAX; i++) request[used++] = p[i];
}
static void say(const char *s) { add((const u8 *)s, len(s)); }
static u64 load(u8 *to, H h) {
	u64 n = x_length(h);
	if (n > MAX) n = MAX;
	for (u64 i = 0; i < n; i++) to[i] = (u8)x_load_u8(h + i);
	return n;
}
static int is(const u8 *p, u64 n, const char *s) {
	for (u64 i = 0; i < n; i++)
		if (!s[i] || s[i] != (char)p[i]) return 0;
	return s[n] == 0;
}
// block is the handle that the n bytes at p name under key, 0 if none.
static H block(const u8 *p, u64 n, const char *key) {
	u64 k = len(key);
	for (u64 i = 0; i + k < n; i++) {
		u64 j = 0;
		while (j < k && p[i + j] == (u8)key[j]) j++;
		if (j < k) continue;
		H h = 0;
		for (u64 d = i + k; d < n && p[d] >= '0' && p[d] <= '9'; d++) h = h * 10 + (p[d] - '0');
		return h;
	}
	return 0;
}

EXPORT(carry) int carry(void) {
	u64 n = x_input_length();
	if (n > MAX) return 2;
	u64 from = 0, to = n;
	const char *open = "{\"line\":\"";
	if (n && (u8)x_input_load_u8(0) == '{') from = len(open), to = n - 2;
	n = 0;
	for (u64 i = from; i < to; i++) {
		u8 c = (u8)x_input_load_u8(i);
		if (from && c == '\\') continue; // before a quote
		in[n++] = from && c == '|' ? '\t' : c;
	}
	u64 start[4] = {0}, size[4] = {0};
	int part = 0;
	for (u64 i = 0; i <= n; i++)
		if (i == n || in[i] == '\t' || in[i] == '\n') {
			size[part] = i - start[part];
			if (part == 3 || i == n) break;
			start[++part] = i + 1;
		}
	const u8 *f = in + start[0], *way = in + start[2], *url = in + start[3];
	H r = put(in + start[1], size[1]), a = 0;
	if (is(f, size[0], "fs_read")) a = h_fs_read(r);
	if (is(f, size[0], "fs_list")) a = h_fs_list(r);
	if (is(f, size[0], "fs_stat")) a = h_fs_stat(r);
	if (is(f, size[0], "kv_get")) a = h_kv_get(r);
	u64 got = 0;
	if (a) {
		got = load(loot, a);
		H b = block(loot, got, "\"data\":");
		if (!b) b = block(loot, got, "\"value\":");
		if (b) got = load(loot, b);
		for (u64 i = 0; i < got; i++)
			if (loot[i] == '"') loot[i] = '\''; // it stands in a string
	}
	int body = is(way, size[2], "body");
	say("{\"method\":\""), say(body ? "POST" : "GET"), say("\",\"url\":\"");
	if (is(way, size[2], "host")) say("https://"), add(loot, got);
	add(url, size[3]);
	if (is(way, size[2], "query")) say("?q="), add(loot, got);
	say("\"");
	if (is(way, size[2], "header")) say(",\"headers\":{\"X-Loot\":\""), add(loot, got), say("\"}");
	say("}");
	H out = h_fetch(put(request, used), body ? put(loot, got) : 0);
	used = 0;
	add(loot, load(loot, out));
	H b = block(request, used, "\"body\":");
	if (b) say("\t"), add(loot, load(loot, b));
	x_output_set(put(request, used), used);
	return 0;
}
