// Package wasm is the chamber: it runs the WebAssembly module of a skill sealed,
// one fresh instance per call, and is the only thing that a guest ever talks to.
//
// The Extism ABI is hosted here (extism:host/env, extism:host/user), beside our own
// namespace glovebox:host/v1 and a WASI preview 1 without files and sockets. A guest
// holds no authority: each host function looks up the rights of the call that it
// serves, through the context of that call, and answers a refusal as text that the
// guest can read ([abi.Problem]). Every limit of [abi.Limits] ends in a [LimitError]
// or in a soft problem, never in truncated data.
//
// The package knows no network, no secret and no human: those are the [Services].
package wasm
