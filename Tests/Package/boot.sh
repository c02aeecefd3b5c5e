#!/usr/bin/env bash
# Installs the package in a Debian of its own, boots that with systemd, and looks at what the service does there.
# Needs root, debootstrap and systemd-container. Everything happens in a temporary folder and in namespaces.
#
# Usage: Tests/Package/boot.sh PACKAGE.deb [FOLDER]    FOLDER keeps the Debian for the next time.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
package=$(realpath "$1")
folder=${2:-$(mktemp -d)}
root=$folder/root
[ $# -ge 2 ] || trap 'rm -rf "$folder"' EXIT

if [ ! -e "$folder/base/etc/debian_version" ]; then
  debootstrap --variant=minbase \
    --include=systemd,systemd-sysv,dbus,libyaml-0-2,libssl3,ca-certificates,man-db,curl,procps \
    bookworm "$folder/base" "${MIRROR:-http://deb.debian.org/debian}" >"$folder/debootstrap.log"
fi
rm -rf "$root"
cp -a "$folder/base" "$root"
install -D "$package" "$root/root/sluice.deb"
install "$here/inside.sh" "$root/root/inside.sh"

in_root() {
  systemd-nspawn --quiet --directory="$root" --private-network --register=no --keep-unit --console=pipe "$@" </dev/null
}

# apt would ask the network; what the package needs is there.
in_root dpkg --install /root/sluice.deb
in_root bash -c 'man --path sluice | grep -q sluice.1 && id sluice && sluice --version'

cat >"$root/etc/systemd/system/look.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /root/inside.sh
ExecStopPost=/bin/systemctl poweroff --no-block
StandardOutput=file:/root/look.log
StandardError=file:/root/look.log
[Install]
WantedBy=graphical.target
UNIT
in_root systemctl --quiet enable look.service
timeout --kill-after=10 300 systemd-nspawn --quiet --directory="$root" --private-network --register=no \
  --keep-unit --console=pipe --boot </dev/null >"$folder/boot.log" 2>&1 || true
cat "$root/root/look.log"
tail -1 "$root/root/look.log" | grep -q '^all good$'
