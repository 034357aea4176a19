// An mcp.run servlet: describe and call. It also has what TinyGo and WASI toolchains
// leave behind: a _start that must not run, and two initialisers of which one must.
#include "plugin.h"

USER(config_get) uint64_t user_config_get(uint64_t);

static int initialized, constructed;

EXPORT(_start) void start(void) { __builtin_trap(); }
EXPORT(_initialize) void initialize(void) { initialized++; }
EXPORT(__wasm_call_ctors) void construct(void) { constructed++; }

EXPORT(describe) int32_t describe(void) {
	return answer("{\"tools\":[{\"name\":\"echo\",\"description\":\"echoes the call\",\"inputSchema\":{\"type\":\"object\","
	              "\"properties\":{\"x\":{\"type\":\"string\"}}}},{\"name\":\"init\",\"description\":\"\",\"inputSchema\":"
	              "{\"type\":\"object\"}},{\"name\":\"config\",\"description\":\"\",\"inputSchema\":{\"type\":\"object\"}}]}");
}

EXPORT(call) int32_t call(void) {
	read_input();
	if (find("{\"params\":{\"name\":\"echo\"") == 0) return text(in, in_len);
	if (find("{\"params\":{\"name\":\"init\"") == 0) {
		char s[3] = {(char)('0' + initialized), ' ', (char)('0' + constructed)};
		return text(s, 3);
	}
	if (find("{\"params\":{\"name\":\"config\"") == 0) {
		uint64_t h = user_config_get(block("greeting", 8));
		static char got[64];
		uint64_t n = h ? env_length(h) : 0;
		for (uint64_t i = 0; i < n && i < sizeof got; i++) got[i] = (char)env_load_u8(h + i);
		return text(got, (uint32_t)n);
	}
	__builtin_trap(); // as servlets panic on an unknown operation
}
