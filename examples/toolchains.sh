#!/bin/sh
# Installs the compilers of the example skills that are not written in Go. Run as
# root on Debian 12 or later; running it again changes nothing.
set -eu
cd "$(dirname "$0")"

# calc: C. textstat: Rust, whose standard library wants the linker of its own LLVM.
export DEBIAN_FRONTEND=noninteractive
need=""
for p in clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 rustc libstd-rust-dev-wasm32 lld-14 npm; do
	dpkg -s "$p" >/dev/null 2>&1 || need="$need $p"
done
case "$need" in *" npm"*) ! command -v npm >/dev/null || need="${need% npm}" ;; esac
if [ -n "$need" ]; then
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of words
	apt-get install -y -qq --no-install-recommends $need
fi

# units: AssemblyScript, at the versions of package-lock.json.
[ -x units/node_modules/.bin/asc ] || (cd units && npm ci --no-audit --no-fund --silent)
