// The evaluator: a recursive-descent parser that computes while it reads.
#ifndef CALC_EVAL_H
#define CALC_EVAL_H

#include <stdbool.h>

#include "decimal.h"

#define EVAL_MAX_EXPRESSION 4096 // bytes
#define EVAL_MAX_DEPTH 100       // nested parentheses, calls, signs and powers
#define EVAL_MAX_VALUES 256     // arguments of the calls that are open at one time

// eval computes the NUL-terminated expression. On failure it returns false and
// writes one sentence, with the position in characters counted from 1, to error.
bool eval(const char *expression, num *result, char *error, size_t size);

#endif
