// The part of the Extism host interface that this skill imports, and nothing
// else: no network, no files, no clock.
#ifndef CALC_EXTISM_H
#define CALC_EXTISM_H

#include <stdint.h>

#define HOST(n) __attribute__((import_module("extism:host/env"), import_name(#n))) extern

// A handle is an offset into the exchange arena of host and guest; 0 is null.
HOST(alloc) uint64_t host_alloc(uint64_t size);
HOST(input_length) uint64_t host_input_length(void);
HOST(input_load_u8) uint32_t host_input_load_u8(uint64_t offset);
HOST(input_load_u64) uint64_t host_input_load_u64(uint64_t offset);
HOST(store_u8) void host_store_u8(uint64_t offset, uint32_t byte);
HOST(store_u64) void host_store_u64(uint64_t offset, uint64_t word);
HOST(output_set) void host_output_set(uint64_t handle, uint64_t size);
HOST(error_set) void host_error_set(uint64_t handle);

#define EXPORT(n) __attribute__((export_name(#n)))

#endif
