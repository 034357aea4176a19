// What QuickJS expects of a libc and wasi-libc lacks.
#ifndef SCRIPT_SHIM_H
#define SCRIPT_SHIM_H

#include <stddef.h>

#define FE_DOWNWARD 0x400
#define FE_UPWARD 0x800
#define FE_TOWARDZERO 0xc00

static inline size_t malloc_usable_size(void *block) {
	(void)block;
	return 0;
}

#endif
