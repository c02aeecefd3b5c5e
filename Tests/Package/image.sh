#!/usr/bin/env bash
# Builds the second stage of the Dockerfile on a Debian that was made here, and runs what is in it: read-only, and not as root.
# Needs root, buildah and debootstrap. No network is used but Debian's mirror.
#
# Usage: Tests/Package/image.sh PROGRAM [FOLDER]    FOLDER keeps the Debian for the next time.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
program=$(realpath "$1")
folder=${2:-$(mktemp -d)}
[ $# -ge 2 ] || trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/context"
buildah=(buildah --storage-driver vfs --root "$folder/storage" --runroot "$folder/run")

if [ ! -e "$folder/slim/etc/debian_version" ]; then
  debootstrap --variant=minbase --include=ca-certificates,libssl3,libyaml-0-2,zlib1g bookworm "$folder/slim" \
    "${MIRROR:-http://deb.debian.org/debian}" >"$folder/debootstrap.log"
fi
base=$("${buildah[@]}" from scratch)
"${buildah[@]}" add "$base" "$folder/slim" / >/dev/null
"${buildah[@]}" commit "$base" docker.io/library/debian:bookworm-slim >/dev/null
"${buildah[@]}" rm "$base" >/dev/null

# Everything from the second FROM on; the program was built outside.
awk '/^FROM/ {stage++} stage == 2' "$here/Dockerfile" |
  sed 's|COPY --from=build /out/sluice|COPY sluice|; s|^RUN apt-get update .*rm -rf /var/lib/apt/lists/\* \\$|RUN true \\|' >"$folder/context/Dockerfile"
strip -o "$folder/context/sluice" "$program"
cp "$here/routes.yaml" "$folder/context/"
mkdir -p "$folder/context/examples"
cp -r "$here/examples/web" "$folder/context/examples/"
"${buildah[@]}" build --format docker --isolation chroot --pull=never --tag sluice "$folder/context"
"${buildah[@]}" images
container=$("${buildah[@]}" from --pull=never sluice)
mounted=$("${buildah[@]}" mount "$container")

# Read-only and without privileges, in namespaces of its own.
timeout 60 unshare --mount --pid --fork --net bash -c '
  ip link set lo up
  mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"
  cd "$1/etc/sluice"
  chroot --userspec=10001:10001 "$1" sh -c "cd /etc/sluice && exec sluice serve /etc/sluice/routes.yaml --bind 0.0.0.0:8000" &
  for _ in $(seq 100); do
    curl --silent --max-time 2 http://127.0.0.1:8000/ -o /dev/null && break
    sleep 0.1
  done
  curl --silent --fail http://127.0.0.1:8000/ | head -3
  chroot --userspec=10001:10001 "$1" sh -c "touch /etc/sluice/x" && exit 1
  chroot --userspec=10001:10001 "$1" bash -c "$2"
  kill -TERM %1 && wait %1
  echo "ended with $?"
' _ "$mounted" "$(sed -n 's/^  CMD \["bash", "-c", "\(.*\)"\]$/\1/p' "$here/Dockerfile" | sed 's/\\\\/\\/g')"
"${buildah[@]}" rm "$container" >/dev/null
echo "all good"
