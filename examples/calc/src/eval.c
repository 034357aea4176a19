#include "eval.h"

#include <math.h>
#include <string.h>

typedef struct {
	const char *start, *at;
	int depth;
	char *error;
	size_t size;
	bool failed;
	num values[EVAL_MAX_VALUES]; // arguments of all calls that are open
	int top;
} parser;

static num expression(parser *p);

// position counts characters, not bytes, from 1.
static int position(parser *p, const char *at) {
	int n = 1;
	for (const char *s = p->start; s < at; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void append(parser *p, const char *s, size_t n) {
	size_t used = strlen(p->error);
	if (n > p->size - used - 1) n = p->size - used - 1;
	memcpy(p->error + used, s, n);
	p->error[used + n] = 0;
}

static num fail_at(parser *p, int n) {
	char digits[12], *d = digits + sizeof digits;
	do *--d = (char)('0' + n % 10);
	while (n /= 10);
	append(p, " at position ", 13);
	append(p, d, (size_t)(digits + sizeof digits - d));
	p->failed = true;
	return num_int(0);
}

// failn says what is wrong with the named thing; the first error stays.
static num failn(parser *p, const char *at, const char *what, const char *name, size_t length, const char *rest) {
	if (p->failed) return num_int(0);
	p->error[0] = 0;
	append(p, what, strlen(what));
	append(p, name, length > 40 ? 40 : length);
	append(p, rest, strlen(rest));
	return fail_at(p, position(p, at));
}

static num fail(parser *p, const char *at, const char *what) { return failn(p, at, what, "", 0, ""); }

static void space(parser *p) {
	while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r') p->at++;
}

static bool take(parser *p, char c) {
	space(p);
	if (p->failed || *p->at != c) return false;
	p->at++;
	return true;
}

static bool zero(num a) { return num_value(a) == 0; }

// checked turns an infinite or undefined result into an error.
static num checked(parser *p, const char *at, num a) {
	double v = num_value(a);
	if (p->failed || isfinite(v)) return a;
	return fail(p, at, isnan(v) ? "result is not a real number" : "result is too large");
}

static num divide(parser *p, const char *at, num a, num b, bool modulo) {
	if (p->failed) return a;
	if (zero(b)) return fail(p, at, "division by zero");
	return checked(p, at, modulo ? num_mod(a, b) : num_div(a, b));
}

enum function { ABS, CEIL, COS, EXP, FLOOR, LN, LOG10, MAX, MIN, ROUND, SIN, SQRT, TAN };

static const struct {
	const char *name;
	int id, least, most;
} functions[] = {
	{"abs", ABS, 1, 1}, {"ceil", CEIL, 1, 1}, {"cos", COS, 1, 1}, {"exp", EXP, 1, 1},
	{"floor", FLOOR, 1, 1}, {"ln", LN, 1, 1}, {"log10", LOG10, 1, 1},
	{"max", MAX, 1, EVAL_MAX_VALUES}, {"min", MIN, 1, EVAL_MAX_VALUES}, {"round", ROUND, 1, 2},
	{"sin", SIN, 1, 1}, {"sqrt", SQRT, 1, 1}, {"tan", TAN, 1, 1},
};

static num extreme(const num *a, int n, int sign) {
	num r = a[0];
	bool exact = true;
	for (int i = 0; i < n; i++) {
		exact = exact && a[i].exact;
		if (num_cmp(a[i], r) * sign > 0) r = a[i];
	}
	return exact ? r : num_double(num_value(r));
}

static num apply(parser *p, const char *at, int id, const num *a, int n) {
	double x = num_value(a[0]);
	switch (id) {
	case ABS: return x < 0 ? num_neg(a[0]) : a[0];
	case CEIL: return num_round(a[0], 0, 1);
	case FLOOR: return num_round(a[0], 0, -1);
	case MAX: return extreme(a, n, 1);
	case MIN: return extreme(a, n, -1);
	case ROUND:
		if (n == 2 && !(a[1].exact && a[1].scale == 0 && fabs(num_value(a[1])) <= 30))
			return fail(p, at, "round needs a whole number of decimals from -30 to 30");
		return num_round(a[0], n == 2 ? (int)a[1].coef : 0, 0);
	case SQRT: return x < 0 ? fail(p, at, "sqrt of a negative number") : num_sqrt(a[0]);
	case LN: return x <= 0 ? fail(p, at, "ln needs a positive number") : num_double(log(x));
	case LOG10: return x <= 0 ? fail(p, at, "log10 needs a positive number") : num_double(log10(x));
	case EXP: return num_double(exp(x));
	case COS: return num_double(cos(x));
	case SIN: return num_double(sin(x));
	case TAN: return num_double(tan(x));
	}
	return fail(p, at, "unknown function");
}

static num call(parser *p, const char *at, int f) {
	const char *name = functions[f].name;
	int base = p->top;
	if (!take(p, '(')) return failn(p, p->at, "expected ( after ", name, strlen(name), "");
	if (!take(p, ')')) {
		do {
			num v = expression(p);
			if (p->failed) return v;
			if (p->top == EVAL_MAX_VALUES) return fail(p, p->at, "too many arguments");
			p->values[p->top++] = v;
		} while (take(p, ','));
		if (!take(p, ')')) return fail(p, p->at, "expected , or )");
	}
	int n = p->top - base;
	p->top = base;
	if (n < functions[f].least || n > functions[f].most)
		return failn(p, at, "wrong number of arguments for ", name, strlen(name), "");
	return checked(p, at, apply(p, at, functions[f].id, p->values + base, n));
}

static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool digit(char c) { return c >= '0' && c <= '9'; }

static num name(parser *p) {
	const char *start = p->at;
	while (letter(*p->at) || digit(*p->at)) p->at++;
	size_t n = (size_t)(p->at - start);
	if (n == 2 && !memcmp(start, "pi", 2)) return num_double(3.14159265358979323846);
	if (n == 1 && *start == 'e') return num_double(2.71828182845904523536);
	for (int i = 0; i < (int)(sizeof functions / sizeof *functions); i++)
		if (strlen(functions[i].name) == n && !memcmp(functions[i].name, start, n)) return call(p, start, i);
	return failn(p, start, "unknown name ", start, n,
	             " (known: abs ceil cos e exp floor ln log10 max min pi round sin sqrt tan)");
}

static num atom(parser *p) {
	space(p);
	const char *start = p->at;
	if (take(p, '(')) {
		num v = expression(p);
		if (!p->failed && !take(p, ')'))
			return fail(p, *p->at ? p->at : start, *p->at ? "expected an operator or )" : "( is never closed");
		return v;
	}
	if (digit(*start) || (*start == '.' && digit(start[1]))) {
		bool ok;
		num v = num_parse(start, &p->at, &ok);
		return ok ? checked(p, start, v) : fail(p, start, "exponent is out of range");
	}
	if (letter(*start)) return name(p);
	if (!*start) return fail(p, start, "expression ends where a number is expected");
	return fail(p, start, "expected a number, a name or (");
}

// unary reads signs and powers: -2^2 is -(2^2), 2^-1 and 2^3^2 = 2^(3^2) work.
static num unary(parser *p) {
	if (++p->depth > EVAL_MAX_DEPTH) return fail(p, p->at, "nested too deeply");
	num v;
	if (take(p, '-')) {
		v = num_neg(unary(p));
	} else if (take(p, '+')) {
		v = unary(p);
	} else {
		v = atom(p);
		space(p);
		const char *at = p->at;
		if (take(p, '^')) {
			num b = unary(p);
			if (!p->failed && zero(v) && num_value(b) < 0) return fail(p, at, "division by zero");
			if (!p->failed) v = checked(p, at, num_pow(v, b));
		}
	}
	p->depth--;
	return v;
}

static num term(parser *p) {
	num v = unary(p);
	while (!p->failed) {
		space(p);
		const char *at = p->at;
		if (take(p, '*')) {
			num b = unary(p);
			v = checked(p, at, num_mul(v, b));
		} else if (take(p, '/')) {
			num b = unary(p);
			v = divide(p, at, v, b, false);
		} else if (take(p, '%')) {
			num b = unary(p);
			v = divide(p, at, v, b, true);
		} else {
			break;
		}
	}
	return v;
}

static num expression(parser *p) {
	num v = term(p);
	while (!p->failed) {
		space(p);
		const char *at = p->at;
		if (take(p, '+')) {
			num b = term(p);
			v = checked(p, at, num_add(v, b));
		} else if (take(p, '-')) {
			num b = term(p);
			v = checked(p, at, num_add(v, num_neg(b)));
		} else {
			break;
		}
	}
	return v;
}

bool eval(const char *text, num *result, char *error, size_t size) {
	parser p = {.start = text, .at = text, .error = error, .size = size};
	space(&p);
	if (!*p.at) {
		fail(&p, text, "expression is empty: nothing to evaluate");
		return false;
	}
	*result = expression(&p);
	space(&p);
	if (!p.failed && *p.at) fail(&p, p.at, *p.at == ')' ? ") without (" : "expected an operator");
	return !p.failed;
}
