// A hyper-mcp v2 plugin with the habits of real ones: optional fields written as
// null, annotations of the wrong type, all functions of extism:host/user imported
// and one that no host offers, bytes touched behind a block.
#include "plugin.h"

USER(create_elicitation) uint64_t user_create_elicitation(uint64_t);
USER(create_message) uint64_t user_create_message(uint64_t);
USER(get_keyring_secret) uint64_t user_get_keyring_secret(uint64_t);
USER(get_access_token) uint64_t user_get_access_token(uint64_t);
USER(list_roots) uint64_t user_list_roots(void);
USER(notify_logging_message) void user_notify_logging_message(uint64_t);
USER(notify_progress) void user_notify_progress(uint64_t);
USER(notify_tool_list_changed) void user_notify_tool_list_changed(void);
USER(notify_prompt_list_changed) void user_notify_prompt_list_changed(void);
USER(notify_resource_list_changed) void user_notify_resource_list_changed(void);
USER(notify_resource_updated) void user_notify_resource_updated(uint64_t);
USER(notify_url_elicitation_completed) void user_notify_url_elicitation_completed(uint64_t);
USER(mult) uint64_t user_mult(uint64_t, uint64_t);

#define TOOL(name) \
	"{\"name\":\"" name "\",\"title\":null,\"description\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}," \
	"\"outputSchema\":null,\"annotations\":[\"user\"],\"_meta\":null,\"icons\":[{\"src\":\"x\"}]}"

static int is(const char *name) {
	int32_t at = find("\"name\":\"");
	if (at < 0) return 0;
	const char *p = in + at + 8;
	while (*name && *p == *name) p++, name++;
	return !*name && *p == '"';
}

static uint64_t str(const char *s) { return block(s, len(s)); }

// told answers with the block that a host function returned.
static int32_t told(uint64_t h) {
	if (h == 0) return text("null handle", 11);
	static char got[4096];
	uint64_t n = env_length(h);
	if (n > sizeof got) __builtin_trap();
	for (uint64_t i = 0; i < n; i++) got[i] = (char)env_load_u8(h + i);
	return text(got, (uint32_t)n);
}

static int32_t notify(void) {
	user_notify_logging_message(str("{\"level\":\"info\",\"data\":\"hello\",\"logger\":\"x\"}"));
	user_notify_progress(str("{\"progressToken\":\"1\",\"progress\":0.5,\"total\":1}"));
	user_notify_tool_list_changed();
	user_notify_prompt_list_changed();
	user_notify_resource_list_changed();
	user_notify_resource_updated(str("{\"uri\":\"file:///x\"}"));
	user_notify_url_elicitation_completed(str("{\"elicitationId\":\"1\"}"));
	return text("notified", 8);
}

// zero_copy answers with a part of the input block itself.
static int32_t zero_copy(void) {
	int32_t at = find("{\"content\"");
	if (at < 0) return fail("no result in the arguments");
	int depth = 0;
	for (uint32_t i = (uint32_t)at; i < in_len; i++) {
		depth += (in[i] == '{') - (in[i] == '}');
		if (depth == 0) {
			env_output_set(env_input_offset() + (uint32_t)at, i + 1 - (uint32_t)at);
			return 0;
		}
	}
	return fail("unbalanced");
}

// past_block writes whole words over the end of an odd block, as some PDKs do.
static int32_t past_block(void) {
	static const char result[] = "{\"content\":[{\"type\":\"text\",\"text\":\"padded\"}]}";
	uint64_t n = sizeof result - 1, h = env_alloc(n);
	for (uint64_t i = 0; i < n; i += 8) {
		uint64_t w = 0;
		for (uint64_t k = 0; k < 8 && i + k < n; k++) w |= (uint64_t)(uint8_t)result[i + k] << (8 * k);
		env_store_u64(h + i, w);
	}
	env_output_set(h, n);
	return 0;
}

EXPORT(list_tools) int32_t list_tools(void) {
	read_input();
	if (find("\"context\":{\"id\":\"") < 0) return fail("context.id: expected a string");
	return answer("{\"tools\":[" TOOL("echo") "," TOOL("content") "," TOOL("zero_copy") "," TOOL("past_block") ","
	              TOOL("error_ok") "," TOOL("fail") "," TOOL("trap") "," TOOL("elicit") "," TOOL("message") ","
	              TOOL("secret") "," TOOL("token") "," TOOL("roots") "," TOOL("notify") "," TOOL("unknown")
	              "],\"_meta\":null}");
}

EXPORT(call_tool) int32_t call_tool(void) {
	read_input();
	if (find("\"context\":{\"id\":\"") < 0) return fail("context.id: expected a string");
	if (is("echo")) return text(in, in_len);
	if (is("content"))
		return answer("{\"_meta\":null,\"content\":[{\"type\":\"text\",\"text\":\"t\",\"annotations\":null,\"_meta\":null,"
		              "\"data\":null,\"mimeType\":null},{\"type\":\"image\",\"data\":\"AAEC\",\"mimeType\":\"image/png\","
		              "\"annotations\":{\"audience\":[\"user\"]}},{\"type\":\"resource\",\"resource\":{\"uri\":\"file:///a\","
		              "\"text\":\"r\",\"blob\":null,\"mimeType\":null}},{\"type\":\"resource_link\",\"uri\":\"file:///b\","
		              "\"name\":\"b\",\"size\":3}],\"isError\":null,\"structuredContent\":null}");
	if (is("zero_copy")) return zero_copy();
	if (is("past_block")) return past_block();
	if (is("error_ok")) return fail("failed, and returns 0 all the same"), 0;
	if (is("fail")) return fail("some \x1b[31mred\x1b[0m message");
	if (is("elicit")) return told(user_create_elicitation(str("{\"mode\":\"form\",\"message\":\"?\",\"requestedSchema\":{}}")));
	if (is("message")) return told(user_create_message(str("{\"messages\":[],\"maxTokens\":1}")));
	if (is("secret")) return told(user_get_keyring_secret(str("{\"service\":\"s\",\"user\":\"u\"}")));
	if (is("token")) return told(user_get_access_token(str("{\"client_id\":\"c\"}")));
	if (is("roots")) return told(user_list_roots());
	if (is("notify")) return notify();
	if (is("unknown")) return told(user_mult(6, 7));
	__builtin_trap();
}

// Exports that a host need not call, and that make the shape.
EXPORT(list_prompts) int32_t list_prompts(void) { return answer("{\"prompts\":[]}"); }
EXPORT(on_roots_list_changed) int32_t on_roots_list_changed(void) { return 0; }
