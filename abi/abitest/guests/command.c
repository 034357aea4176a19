// command.c is a WASI command: it answers standard input as structured content, and
// its tools when its second argument is --describe. A tool that is named fail makes it
// fail with code 4.
#include "env.h"

WASI(args_sizes_get) u32 w_args_sizes(u32 *, u32 *);
WASI(args_get) u32 w_args(char **, char *);
WASI(fd_read) u32 w_read(u32, const void *, u32, u32 *);
WASI(fd_write) u32 w_write(u32, const void *, u32, u32 *);
WASI(proc_exit) void w_exit(u32);

struct vec { const void *p; u32 n; };
static char in[1 << 16], argbuf[256], *argv[8];

static void say(u32 fd, const char *s, u32 n) {
	struct vec v = {s, n};
	w_write(fd, &v, 1, &n);
}
static int has(const char *s, u32 n, const char *what) {
	u32 k = len(what);
	for (u32 i = 0; i + k <= n; i++) {
		u32 j = 0;
		while (j < k && s[i + j] == what[j]) j++;
		if (j == k) return 1;
	}
	return 0;
}
EXPORT(_start) void start(void) {
	u32 argc, size, n = 0, got;
	w_args_sizes(&argc, &size);
	if (argc > 8 || size > sizeof argbuf) w_exit(99);
	w_args(argv, argbuf);
	if (argc == 2 && has(argv[1], len(argv[1]), "--describe")) {
		static const char t[] = "{\"tools\":[{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}}]}";
		say(1, t, sizeof t - 1);
		return;
	}
	do {
		struct vec v = {in + n, sizeof in - n};
		w_read(0, &v, 1, &got);
		n += got;
	} while (got);
	say(2, "to the log\n", 11);
	if (has(in, n, "\"fail\"")) {
		say(2, "it did \x1b[31mnot work", 20);
		w_exit(4);
	}
	static const char head[] = "{\"content\":[],\"structuredContent\":";
	say(1, head, sizeof head - 1);
	say(1, in, n);
	say(1, "}", 1);
}
