#include "decimal.h"

#include <math.h>

typedef __int128 wide;

#define MAX_SCALE 34

static wide pow10w(int n) {
	wide p = 1;
	while (n-- > 0) p *= 10;
	return p;
}

static wide limit(void) { return pow10w(MAX_SCALE); }
static wide absw(wide v) { return v < 0 ? -v : v; }

// times multiplies if the product stays within the limit.
static bool times(wide a, wide b, wide *out) {
	if (a != 0 && absw(b) > (limit() - 1) / absw(a)) return false;
	*out = a * b;
	return true;
}

num num_double(double v) { return (num){.exact = false, .approx = v}; }

// make normalises coef / 10^scale; ok is false when it does not fit.
static num make(wide coef, int scale, bool *ok) {
	while (scale > 0 && coef % 10 == 0) coef /= 10, scale--;
	while (scale < 0 && times(coef, 10, &coef)) scale++;
	*ok = scale >= 0 && scale <= MAX_SCALE && absw(coef) < limit();
	return (num){.exact = true, .coef = coef, .scale = scale};
}

num num_int(long long v) { return (num){.exact = true, .coef = v}; }

double num_value(num a) {
	if (!a.exact) return a.approx;
	return (double)a.coef / (double)pow10w(a.scale);
}

// align brings two exact numbers to one scale.
static bool align(num *a, num *b) {
	if (!a->exact || !b->exact) return false;
	num *low = a->scale < b->scale ? a : b;
	int scale = a->scale > b->scale ? a->scale : b->scale;
	if (!times(low->coef, pow10w(scale - low->scale), &low->coef)) return false;
	low->scale = scale;
	return true;
}

int num_cmp(num a, num b) {
	num x = a, y = b;
	if (align(&x, &y)) return (x.coef > y.coef) - (x.coef < y.coef);
	double p = num_value(a), q = num_value(b);
	return (p > q) - (p < q);
}

num num_neg(num a) {
	a.coef = -a.coef;
	a.approx = -a.approx;
	return a;
}

num num_add(num a, num b) {
	num x = a, y = b;
	bool ok = align(&x, &y);
	if (ok) {
		num r = make(x.coef + y.coef, x.scale, &ok);
		if (ok) return r;
	}
	return num_double(num_value(a) + num_value(b));
}

num num_mul(num a, num b) {
	wide p;
	if (a.exact && b.exact && times(a.coef, b.coef, &p)) {
		bool ok;
		num r = make(p, a.scale + b.scale, &ok);
		if (ok) return r;
	}
	return num_double(num_value(a) * num_value(b));
}

num num_div(num a, num b) {
	if (a.exact && b.exact) {
		wide n = a.coef;
		int k = 0;
		while (n % b.coef != 0 && k <= MAX_SCALE && times(n, 10, &n)) k++;
		if (n % b.coef == 0) {
			bool ok;
			num r = make(n / b.coef, k + a.scale - b.scale, &ok);
			if (ok) return r;
		}
	}
	return num_double(num_value(a) / num_value(b));
}

num num_mod(num a, num b) {
	num x = a, y = b;
	bool ok = align(&x, &y);
	if (ok) {
		num r = make(x.coef % y.coef, x.scale, &ok);
		if (ok) return r;
	}
	return num_double(fmod(num_value(a), num_value(b)));
}

// power is a^n by squaring, exact or nothing.
static bool power(num a, unsigned n, num *out) {
	num r = num_int(1);
	while (n) {
		if (n & 1) r = num_mul(r, a);
		if (n >>= 1) a = num_mul(a, a);
		if (!r.exact || !a.exact) return false;
	}
	*out = r;
	return true;
}

num num_pow(num a, num b) {
	num r;
	if (a.exact && b.exact && b.scale == 0 && absw(b.coef) <= 100000 &&
	    power(a, (unsigned)absw(b.coef), &r))
		return b.coef < 0 ? num_div(num_int(1), r) : r;
	return num_double(pow(num_value(a), num_value(b)));
}

num num_sqrt(num a) {
	double root = sqrt(num_value(a));
	if (!a.exact) return num_double(root);
	wide c = a.coef;
	int scale = a.scale;
	if (scale % 2 != 0 && (scale++, !times(c, 10, &c))) return num_double(root);
	wide x = (wide)sqrt((double)c);
	for (int i = 0; i < 4 && x > 0; i++) x = (x + c / x) / 2; // Newton: the double is off by little
	while (x * x > c) x--;
	while ((x + 1) * (x + 1) <= c) x++;
	bool ok;
	num r = make(x, scale / 2, &ok);
	return ok && x * x == c ? r : num_double(root);
}

num num_round(num a, int places, int mode) {
	if (!a.exact) {
		double f = pow(10, places), v = a.approx * f;
		v = mode < 0 ? floor(v) : mode > 0 ? ceil(v) : round(v);
		return num_double(isfinite(v) ? v / f : a.approx);
	}
	int drop = a.scale - places;
	if (drop <= 0) return a;
	if (drop > MAX_SCALE) drop = MAX_SCALE + 1; // all digits go
	wide unit = pow10w(drop), q = a.coef / unit, rest = a.coef % unit;
	bool negative = a.coef < 0, up;
	if (mode == 0) {
		up = absw(rest) * 2 >= unit;
	} else {
		up = rest != 0 && (mode > 0) != negative;
	}
	if (up) q += negative ? -1 : 1;
	bool ok;
	num r = make(q, a.scale - drop, &ok);
	return ok ? r : num_double(num_value(a));
}

num num_parse(const char *s, const char **end, bool *ok) {
	num r = num_int(0);
	bool exact = true, point = false;
	double value = 0;
	int exponent = 0;
	for (; (*s >= '0' && *s <= '9') || (*s == '.' && !point); s++) {
		if (*s == '.') {
			point = true;
			continue;
		}
		wide c;
		exact = exact && times(r.coef, 10, &c) && c + 9 < limit();
		if (exact) r.coef = c + (*s - '0');
		value = value * 10 + (*s - '0');
		if (point) exponent--;
	}
	*ok = true;
	const char *e = s + 1 + (s[0] != 0 && (s[1] == '+' || s[1] == '-'));
	if ((*s == 'e' || *s == 'E') && *e >= '0' && *e <= '9') {
		int n = 0;
		bool minus = s[1] == '-';
		for (s = e; *s >= '0' && *s <= '9'; s++)
			if (n < 10000) n = n * 10 + (*s - '0');
		*ok = n <= 400;
		exponent += minus ? -n : n;
	}
	*end = s;
	if (exact && exponent >= -400 && exponent <= 400) {
		bool fits;
		num m = make(r.coef, -exponent, &fits);
		if (fits) return m;
		value = (double)r.coef;
	}
	return num_double(exponent < 0 ? value / pow(10, -exponent) : value * pow(10, exponent));
}

static void format_exact(num a, char *out, size_t size) {
	char digits[48];
	size_t n = 0;
	wide c = absw(a.coef);
	while (c != 0 || n <= (size_t)a.scale) digits[n++] = (char)('0' + (int)(c % 10)), c /= 10;
	size_t o = 0;
	if (a.coef < 0) out[o++] = '-';
	while (n > 0 && o + 2 < size) {
		if (n == (size_t)a.scale) out[o++] = '.';
		out[o++] = digits[--n];
	}
	out[o] = 0;
}

// pow10q is 10^n in quadruple precision, so that 15 digits of a double come out right.
static long double pow10q(int n) {
	long double p = 1, b = 10;
	for (; n > 0; n >>= 1, b *= b)
		if (n & 1) p *= b;
	return p;
}

// format_double writes 15 significant digits as printf's %.15g does.
static void format_double(double v, char *out, size_t size) {
	char digits[16], *o = out;
	if (size < 48) {
		*out = 0;
		return;
	}
	if (v < 0) *o++ = '-';
	long double q = fabs(v);
	int e = v == 0 ? 0 : (int)floor(log10(fabs(v)));
	unsigned long long n = 0;
	for (int tries = 0; tries < 3; tries++) { // log10 may be off by one near a power of ten
		int shift = 14 - e;
		n = (unsigned long long)((shift >= 0 ? q * pow10q(shift) : q / pow10q(-shift)) + 0.5L);
		if (n >= 1000000000000000ULL) {
			e++;
		} else if (n != 0 && n < 100000000000000ULL) {
			e--;
		} else {
			break;
		}
	}
	for (int i = 14; i >= 0; i--) digits[i] = (char)('0' + n % 10), n /= 10;
	int count = 15;
	while (count > 1 && digits[count - 1] == '0') count--;
	bool scientific = e < -5 || e >= 15;
	int whole = scientific ? 1 : e + 1; // digits before the point
	if (whole <= 0) {
		*o++ = '0', *o++ = '.';
		for (int i = whole; i < 0; i++) *o++ = '0';
		for (int i = 0; i < count; i++) *o++ = digits[i];
	} else {
		for (int i = 0; i < count || i < whole; i++) {
			if (i == whole) *o++ = '.';
			*o++ = i < count ? digits[i] : '0';
		}
	}
	if (scientific) {
		int a = e < 0 ? -e : e;
		*o++ = 'e', *o++ = e < 0 ? '-' : '+';
		if (a >= 100) *o++ = (char)('0' + a / 100);
		*o++ = (char)('0' + a / 10 % 10), *o++ = (char)('0' + a % 10);
	}
	*o = 0;
}

void num_format(num a, char *out, size_t size) {
	if (a.exact) {
		format_exact(a, out, size);
	} else {
		format_double(a.approx, out, size);
	}
}
