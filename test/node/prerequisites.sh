#!/bin/sh
# Says in one line what this machine lacks for the tests and the demo, and installs it where it can (root on Debian).
# Lacking it is no error: without root, or elsewhere, `make demo` and `make test` say what they leave out; see test/need.
# With the argument "images", it looks for what building container images needs, too.
set -eu

if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
	echo "prerequisites: pods with real packets need root on Linux; what needs them will be left out"
	exit 0
fi

missing=
pairs="ip:iproute2 nft:nftables iptables-save:iptables nsenter:util-linux curl:curl"
[ "${1-}" != images ] || pairs="$pairs buildah:buildah"
for pair in $pairs; do
	command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "prerequisites: missing:$missing; please install them, else what needs pods with real packets will be left out"
	exit 0
fi
echo "prerequisites: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # one word per package
install() { apt-get install -qq -y --no-install-recommends $missing >/dev/null; }
install 2>/dev/null || { apt-get update -qq && install; }
