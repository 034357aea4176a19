// Numbers that stay exact decimals for as long as 34 digits suffice.
//
// 0.1 + 0.2 is 0.3 here. A result that has no such decimal (1/3, sqrt(2), sin)
// becomes a double, and says so: exactness is never regained.
#ifndef CALC_DECIMAL_H
#define CALC_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
	bool exact;
	__int128 coef; // exact: value = coef / 10^scale, |coef| < 10^34, 0 <= scale <= 34
	int scale;
	double approx; // inexact: the value
} num;

num num_int(long long v);
num num_double(double v);
double num_value(num a);
int num_cmp(num a, num b); // -1, 0, 1

num num_add(num a, num b);
num num_neg(num a);
num num_mul(num a, num b);
num num_div(num a, num b); // b is not 0
num num_mod(num a, num b); // b is not 0; the result has the sign of a
num num_pow(num a, num b); // a is not 0 where b is negative
num num_sqrt(num a);       // a is not negative

// num_round rounds to places decimals: mode -1 down, 0 half away from zero, 1 up.
num num_round(num a, int places, int mode);

// num_parse reads digits [. digits] [e[+-]digits] at s and sets *end behind them.
// ok is false when the exponent is out of range.
num num_parse(const char *s, const char **end, bool *ok);

// num_format writes a: exact in full, inexact with 15 significant digits.
void num_format(num a, char *out, size_t size);

#endif
