// calc: one tool, evaluate, that computes an arithmetic expression.
//
// The two exports are those of the hyper-mcp v2 interface: JSON in, JSON out,
// through the exchange arena of the host.
#include <string.h>

#include "eval.h"
#include "extism.h"
#include "json.h"

static char input[64 * 1024], output[16 * 1024];

static const char tools[] =
	"{\"tools\":[{\"name\":\"evaluate\","
	"\"title\":\"Evaluate an expression\","
	"\"description\":\"Evaluates an arithmetic expression exactly where a decimal of 34 digits can hold the "
	"result. Operators + - * / % (remainder) ^ and parentheses; abs ceil cos e exp floor ln log10 max min pi "
	"round(x, decimals) sin sqrt tan; angles in radians.\","
	"\"inputSchema\":{\"type\":\"object\",\"properties\":{\"expression\":{\"type\":\"string\",\"minLength\":1,"
	"\"maxLength\":4096,\"description\":\"for example (0.1 + 0.2) * 3^2\"}},\"required\":[\"expression\"],"
	"\"additionalProperties\":false},"
	"\"outputSchema\":{\"type\":\"object\",\"properties\":{\"result\":{\"type\":\"string\"},"
	"\"exact\":{\"type\":\"boolean\"}},\"required\":[\"result\",\"exact\"]}}]}";

static uint64_t block(const char *s, size_t n) {
	uint64_t h = host_alloc(n), i = 0;
	for (; i + 8 <= n; i += 8) {
		uint64_t w;
		memcpy(&w, s + i, 8);
		host_store_u64(h + i, w);
	}
	for (; i < n; i++) host_store_u8(h + i, (unsigned char)s[i]);
	return h;
}

static int32_t answer(const char *s, size_t n) {
	host_output_set(block(s, n), n);
	return 0;
}

// broken reports a call that is no call of a tool at all.
static int32_t broken(const char *why) {
	host_error_set(block(why, strlen(why)));
	return 1;
}

static bool load(size_t *n) {
	uint64_t len = host_input_length(), i = 0;
	if (len > sizeof input) return false;
	for (; i + 8 <= len; i += 8) {
		uint64_t w = host_input_load_u64(i);
		memcpy(input + i, &w, 8);
	}
	for (; i < len; i++) input[i] = (char)host_input_load_u8(i);
	*n = (size_t)len;
	return true;
}

typedef struct {
	char tool[129], expression[EVAL_MAX_EXPRESSION + 1], unknown[129];
	int tools, requests, arguments, expressions;
} request;

static bool once(json_reader *r, int *seen) {
	if (++*seen == 1) return true;
	r->error = "duplicate key";
	return false;
}

static void read_arguments(json_reader *r, request *q) {
	char key[129];
	bool first = true;
	if (!once(r, &q->arguments) || !json_object(r)) return;
	while (json_key(r, &first, key, sizeof key)) {
		if (!strcmp(key, "expression")) {
			if (!once(r, &q->expressions)) return;
			json_string(r, q->expression, sizeof q->expression);
		} else {
			memcpy(q->unknown, key, sizeof key);
			json_skip(r);
		}
	}
}

static void read_call(json_reader *r, request *q) {
	char key[129];
	bool first = true;
	if (!once(r, &q->requests) || !json_object(r)) return;
	while (json_key(r, &first, key, sizeof key)) {
		if (!strcmp(key, "name")) {
			if (!once(r, &q->tools)) return;
			json_string(r, q->tool, sizeof q->tool);
		} else if (!strcmp(key, "arguments")) {
			read_arguments(r, q);
		} else {
			json_skip(r);
		}
	}
}

static void read_request(json_reader *r, request *q) {
	char key[129];
	bool first = true;
	if (!json_object(r)) return;
	while (json_key(r, &first, key, sizeof key)) {
		if (!strcmp(key, "request")) {
			read_call(r, q);
		} else {
			json_skip(r);
		}
	}
	if (!r->error) json_end(r);
}

static int32_t say(const char *text, bool is_error, bool exact) {
	json_writer w = {.buf = output, .cap = sizeof output};
	json_raw(&w, "{\"content\":[{\"type\":\"text\",\"text\":");
	json_quote(&w, text);
	json_raw(&w, "}]");
	if (is_error) {
		json_raw(&w, ",\"isError\":true}");
	} else {
		json_raw(&w, ",\"structuredContent\":{\"result\":");
		json_quote(&w, text);
		json_raw(&w, exact ? ",\"exact\":true}}" : ",\"exact\":false}}");
	}
	return w.overflow ? broken("answer does not fit") : answer(output, w.len);
}

EXPORT(list_tools) int32_t list_tools(void) { return answer(tools, sizeof tools - 1); }

EXPORT(call_tool) int32_t call_tool(void) {
	static request q;
	memset(&q, 0, sizeof q);
	size_t n;
	if (!load(&n)) return broken("input is larger than 64 KiB");
	json_reader r = {.at = input, .end = input + n};
	read_request(&r, &q);
	if (r.error) return broken(r.error);
	if (strcmp(q.tool, "evaluate") != 0) return broken("unknown tool: this skill has only evaluate");
	if (q.unknown[0]) return say("unknown argument: evaluate takes only expression", true, false);
	if (!q.expressions) return say("argument expression is missing", true, false);
	num result;
	char text[1024];
	if (!eval(q.expression, &result, text, sizeof text)) return say(text, true, false);
	num_format(result, text, sizeof text);
	return say(text, false, result.exact);
}
