// A QuickJS engine with the two exports of the hyper-mcp v2 interface. The script is
// part of the module, so that the module's digest covers it. It sees the language
// and nothing else: no host function is offered to it.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

#define HOST(n) __attribute__((import_module("extism:host/env"), import_name(#n))) extern
#define EXPORT(n) __attribute__((export_name(#n)))

HOST(alloc) uint64_t host_alloc(uint64_t size);
HOST(input_length) uint64_t host_input_length(void);
HOST(input_load_u8) uint32_t host_input_load_u8(uint64_t offset);
HOST(store_u8) void host_store_u8(uint64_t offset, uint32_t byte);
HOST(output_set) void host_output_set(uint64_t handle, uint64_t size);
HOST(error_set) void host_error_set(uint64_t handle);

#define MEMORY (24 << 20) // bytes for the script
#define STACK (192 << 10) // bytes; the module's own stack has 256 KiB
#define INPUT (1 << 20)

static const char prelude[] = {
#embed "prelude.js"
	, 0};
static const char script[] = {
#embed "../skill.js"
	, 0};

static uint64_t block(const char *s, size_t n) {
	uint64_t h = host_alloc(n);
	for (size_t i = 0; i < n; i++) host_store_u8(h + i, (uint8_t)s[i]);
	return h;
}

static int32_t fail(const char *why) {
	host_error_set(block(why, strlen(why)));
	return 1;
}

// thrown reports the pending exception.
static int32_t thrown(JSContext *ctx) {
	JSValue e = JS_GetException(ctx);
	const char *text = JS_ToCString(ctx, e);
	return fail(text ? text : "the script failed");
}

static int32_t finish(JSContext *ctx, JSValue v) {
	size_t n;
	if (JS_IsException(v)) return thrown(ctx);
	const char *text = JS_ToCStringLen(ctx, &n, v);
	if (!text) return thrown(ctx);
	host_output_set(block(text, n), n);
	return 0;
}

// start evaluates prelude and script. Nothing is freed: the instance ends with the call.
static JSContext *start(void) {
	JSRuntime *rt = JS_NewRuntime();
	if (!rt) return NULL;
	JS_SetMemoryLimit(rt, MEMORY);
	JS_SetMaxStackSize(rt, STACK);
	return JS_NewContext(rt);
}

static int32_t run(const char *function) {
	JSContext *ctx = start();
	if (!ctx) return fail("no memory for the engine");
	if (JS_IsException(JS_Eval(ctx, prelude, sizeof prelude - 1, "prelude.js", JS_EVAL_TYPE_GLOBAL))) return thrown(ctx);
	if (JS_IsException(JS_Eval(ctx, script, sizeof script - 1, "skill.js", JS_EVAL_TYPE_GLOBAL))) return thrown(ctx);
	uint64_t n = host_input_length();
	if (n > INPUT) return fail("input is larger than 1 MiB");
	char *input = malloc(n + 1);
	if (!input) return fail("no memory for the input");
	for (uint64_t i = 0; i < n; i++) input[i] = (char)host_input_load_u8(i);
	JSValue global = JS_GetGlobalObject(ctx), argument = JS_NewStringLen(ctx, input, n);
	return finish(ctx, JS_Call(ctx, JS_GetPropertyStr(ctx, global, function), global, 1, &argument));
}

EXPORT(list_tools) int32_t list_tools(void) { return run("list"); }
EXPORT(call_tool) int32_t call_tool(void) { return run("call"); }
