// What Debian's compiler-rt for wasm expects of a libc with stack protection:
// its 128-bit division is built with it. A smashed stack ends the call.
#include <stdint.h>

uintptr_t __stack_chk_guard = 0x9e3779b9;

_Noreturn void __stack_chk_fail(void);
_Noreturn void __stack_chk_fail(void) { __builtin_trap(); }
