// mcp.c answers every call with its own input as structured content. With -DV1 it
// speaks the first ABI (describe, call), else the second (list_tools, call_tool).
#include "env.h"

static const char tools[] = "{\"tools\":[{\"name\":\"echo\",\"description\":\"says\\u001b[1m\\nagain\",\"inputSchema\":{\"type\":\"object\"}}]}";
static const char head[] = "{\"content\":[{\"type\":\"text\",\"text\":\"seen\\u001b[2J\"}],\"structuredContent\":", tail[] = "}";

static int list(void) {
	x_output_set(str(tools), sizeof tools - 1);
	return 0;
}
static int echo(void) {
	u64 n = x_input_length(), at = 0, total = sizeof head - 1 + n + sizeof tail - 1;
	H out = x_alloc(total);
	for (u64 i = 0; i < sizeof head - 1; i++) x_store_u8(out + at++, head[i]);
	for (u64 i = 0; i < n; i++) x_store_u8(out + at++, x_input_load_u8(i));
	x_store_u8(out + at, tail[0]);
	x_output_set(out, total);
	return 0;
}
#ifdef V1
EXPORT(describe) int describe(void) { return list(); }
EXPORT(call) int call(void) { return echo(); }
#else
EXPORT(list_tools) int list_tools(void) { return list(); }
EXPORT(call_tool) int call_tool(void) { return echo(); }
#endif
