#!/usr/bin/env bash
# Prints a folder with the programs of others that tests meet: cosign and oras, built
# from the Go proxy. A registry and the like come from Debian. Running it again changes
# nothing.
set -euo pipefail
dir="${GLOVEBOX_PEERS:-$HOME/.cache/glovebox-peers}"
mkdir -p "$dir"
build() { # name package@version
  [ -x "$dir/$1" ] || GOFLAGS='' GOTOOLCHAIN=local GOBIN="$dir" go install "$2" >&2
}
build oras oras.land/oras/cmd/oras@v1.3.0
build cosign github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
if [ "${1:-}" = all ]; then # a certificate authority, a log and a clock: minutes more
  build fulcio github.com/sigstore/fulcio@v1.8.8
  build timestamp-server github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server@v2.1.3
  build posix github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix@v2.3.0
fi
echo "$dir"
