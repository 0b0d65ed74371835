#!/usr/bin/env bash
# Builds the images of the Dockerfile with the first of docker, podman and buildah that works here.
#
#   deploy/image/build.sh [TARGET...]           all targets by default
#
#   IMAGE_PREFIX   goes before the name of each image, as "registry.example/team/"; empty by default
#   VERSION        stamped into the programs, and the tag; by default what git says
#   PLATFORMS      "linux/amd64,linux/arm64" makes a manifest list; by default this machine's platform
#   GO_IMAGE       image with the Go toolchain; "host" takes this machine's toolchain and module cache instead, for machines
#                  that reach no registry (podman or buildah, as root)
#   BASE_IMAGE     what the final images stand on; "scratch" needs no registry
#   ENGINE         docker, podman or buildah
#   ENGINE_FLAGS   further flags of the engine, before its command (as --root DIR)
#   BUILD_FLAGS    further flags of its command (as --no-cache)
set -euo pipefail
cd "$(dirname "$0")/../.."

targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(coredns mcs-controller mcsctl)
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
prefix=${IMAGE_PREFIX:-}

engine=${ENGINE:-}
for candidate in docker podman buildah; do
	[ -n "$engine" ] || ! "$candidate" info >/dev/null 2>&1 || engine=$candidate
done
[ -n "$engine" ] || { echo "build.sh: none of docker (with its daemon), podman and buildah works here (Debian: apt-get install buildah)" >&2; exit 1; }

flags=(--file Dockerfile --build-arg "VERSION=$version")
[ -z "${BASE_IMAGE:-}" ] || flags+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
[ -z "${PLATFORMS:-}" ] || flags+=(--platform "$PLATFORMS")
if [ "$engine" != docker ]; then
	# The same source gives the same image, bit for bit: its time is the commit's. (docker takes it from the environment.)
	flags+=(--timestamp "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}")
	[ "$(id -u)" != 0 ] || flags+=(--isolation chroot)
else
	export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
fi

case ${GO_IMAGE:-} in
'') ;;
host)
	[ "$engine" != docker ] || { echo "build.sh: GO_IMAGE=host needs podman or buildah" >&2; exit 1; }
	go mod download
	flags+=(--build-arg GO_IMAGE=scratch --volume "$(go env GOROOT):/usr/local/go:ro"
		--volume "$(go env GOMODCACHE):/go/pkg/mod" --volume "$(go env GOCACHE):/go/cache") ;;
*) flags+=(--build-arg "GO_IMAGE=$GO_IMAGE") ;;
esac

for target in "${targets[@]}"; do
	case $target in
	coredns) name=${prefix}coredns-multicluster:$version ;;
	*) name=${prefix}$target:$version ;;
	esac
	[[ $engine == docker || ${PLATFORMS:-} != *,* ]] && tag=--tag || tag=--manifest
	echo "build.sh: $name with $engine"
	# shellcheck disable=SC2086 # both hold words
	"$engine" ${ENGINE_FLAGS:-} build ${BUILD_FLAGS:-} "${flags[@]}" --target "$target" "$tag" "$name" .
done
