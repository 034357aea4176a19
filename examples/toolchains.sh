#!/bin/sh
# Installs the compilers of the example skills that are not written in Go. Run as
# root on Debian 12 or later; running it again changes nothing.
set -eu
cd "$(dirname "$0")"

# calc: C. textstat: Rust, whose standard library wants the linker of its own LLVM.
export DEBIAN_FRONTEND=noninteractive
need=""
for p in clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 rustc libstd-rust-dev-wasm32 lld-14; do
	dpkg -s "$p" >/dev/null 2>&1 || need="$need $p"
done
command -v npm >/dev/null || need="$need npm"
if [ -n "$need" ]; then
	apt-get update -qq
	for p in $need; do # one by one: a release that lacks one may have the others
		apt-get install -y -qq --no-install-recommends "$p" || echo "note: $p cannot be installed here" >&2
	done
fi

# units: AssemblyScript, at the versions of package-lock.json.
[ -x units/node_modules/.bin/asc ] || (cd units && npm ci --no-audit --no-fund --silent)
