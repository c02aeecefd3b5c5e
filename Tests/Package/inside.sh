#!/usr/bin/env bash
# What `boot.sh` looks at inside of a booted Debian with the package.
set -uo pipefail

failed=0
check() {
  local name=$1
  shift
  if "$@" >/tmp/said 2>&1; then
    echo "ok: $name"
  else
    echo "FAILED ($?): $name"
    sed 's/^/    /' /tmp/said
    failed=1
  fi
}
not() { ! "$@"; }
property() { systemctl show --property="$1" --value sluice.service; }
# Looks until it is so, for at most 20 seconds.
soon() {
  for _ in $(seq 200); do
    "$@" && return
    sleep 0.1
  done
  return 1
}
page() { curl --silent --fail --max-time 5 http://127.0.0.1:8000/ --output /dev/null; }
is_restarted() { [ "$(property MainPID)" != "$main" ] && systemctl is-active --quiet sluice; }
says() { journalctl --unit sluice --no-pager --output cat | grep -q "$1"; }

ip link set lo up 2>/dev/null || true
check "it is enabled and started by the installation" systemctl is-active sluice
check "it serves the demo page" page
check "it says what it does" bash -c "systemctl show --property=StatusText --value sluice.service | grep -q ."
check "it runs as its own user" [ "$(ps -o user= -p "$(property MainPID)")" = sluice ]
check "it has no capabilities but one" grep -qi 'CapBnd:.*0000000000000400' "/proc/$(property MainPID)/status"
check "it cannot write outside of its folder" [ "$(property ProtectSystem)" = strict ]
systemctl status sluice --no-pager --lines 0 | sed 's/^/    /'
systemd-analyze security sluice --no-pager | tail -1 | sed 's/^/    /'

main=$(property MainPID)
sed -i 's|consumer: echo|consumer: echo\n        limits: {message: 2MiB}|' /etc/sluice/routes.yaml
check "a good file is reloaded" systemctl reload sluice
check "by the same process" [ "$(property MainPID)" = "$main" ]
check "the journal has the reload" says 'reloaded'
check "root reloads it, too, without an address" sluice reload /etc/sluice/routes.yaml
cp /etc/sluice/routes.yaml /root/good.yaml
sed -i 's|consumer: echo|consumr: echo|' /etc/sluice/routes.yaml
check "a file with a mistake fails the reload" not systemctl reload sluice
check "the journal says where the mistake is" says 'consumr'
check "it goes on" page
check "in the same process" [ "$(property MainPID)" = "$main" ]
check "a restart with it fails" not systemctl restart sluice
check "the start has failed with the finding" says 'unknown key "consumr"'
cp /root/good.yaml /etc/sluice/routes.yaml
systemctl reset-failed sluice
check "the good file starts again" systemctl start sluice
check "and serves" page

usermod --append --groups www-data sluice
mode() { [ "$(stat --format '%G %a' /run/sluice/web.sock)" = "$1" ]; }
printf 'server: {bind: ["127.0.0.1:8000", {address: "unix:/run/sluice/web.sock", mode: "0660", group: www-data}]}\n' | cat - /root/good.yaml >/etc/sluice/routes.yaml
check "it starts with a socket that has a group" systemctl restart sluice
check "which may connect" mode "www-data 660"
sed -i 's|, group: www-data||' /etc/sluice/routes.yaml
check "a reload takes the group away" systemctl reload sluice
check "so that it is the service's own" mode "sluice 660"
sed -i 's|mode: "0660"|mode: "0660", group: www-data|' /etc/sluice/routes.yaml
check "and a reload gives it back" systemctl reload sluice
check "to the same" mode "www-data 660"
cp /root/good.yaml /etc/sluice/routes.yaml
check "without it, too" systemctl restart sluice

main=$(property MainPID)
dpkg --install /root/sluice.deb >/dev/null 2>&1
check "an upgrade of the package leaves the process alone" [ "$(property MainPID)" = "$main" ]
check "which still serves" page
check "a restart in place, with the rights that the unit leaves" sluice upgrade /etc/sluice/routes.yaml
check "is one" says 'upgraded closed=0'
check "in the same process" [ "$(property MainPID)" = "$main" ]
check "that systemd still knows" systemctl is-active --quiet sluice
check "and that serves" page

mkdir -p /etc/systemd/system/sluice.service.d
printf '[Service]\nWatchdogSec=2s\nRestartSec=100ms\n' >/etc/systemd/system/sluice.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart sluice
main=$(property MainPID)
sleep 5
check "a process that turns is left alone by the watchdog" [ "$(property MainPID)" = "$main" ]
kill -STOP "$main"
check "one that stands still is ended, and started again" soon is_restarted
check "and serves again" soon page
rm -r /etc/systemd/system/sluice.service.d
systemctl daemon-reload

# Where this system may give the limit that the unit asks for.
grep -q '^Max nice priority *24 ' "/proc/$(property MainPID)/limits" && check "the system complains of nothing" not says 'thread priority'
sed 's|/etc/sluice/routes.yaml|/etc/sluice/%i.yaml|' "$(systemctl show --property=FragmentPath --value sluice)" >/etc/systemd/system/sluice@.service
printf 'server: {bind: "127.0.0.1:8010"}\n' | cat - /etc/sluice/routes.yaml >/etc/sluice/second.yaml
systemctl daemon-reload
check "a second service runs beside it" systemctl start sluice@second
check "commands find both" bash -c 'sluice status /etc/sluice/second.yaml && sluice status /etc/sluice/routes.yaml'
systemctl stop sluice@second
check "the first one is still found when that one stops" sluice status /etc/sluice/routes.yaml
rm /etc/systemd/system/sluice@.service /etc/sluice/second.yaml
systemctl daemon-reload

systemctl stop sluice
check "a stop succeeds" [ "$(property Result)" = success ]
check "systemd holds the port for it" systemctl enable --now sluice.socket
check "a client who comes while nobody runs is served" page
check "by the service that systemd has started for it" systemctl is-active sluice
main=$(property MainPID)
check "a restart" systemctl restart sluice
check "keeps the port" page
check "with another process" [ "$(property MainPID)" != "$main" ]
cp /etc/sluice/routes.yaml /root/good.yaml
printf 'server: {bind: "127.0.0.1:8001"}\n' | cat - /root/good.yaml >/etc/sluice/routes.yaml
check "a reload does not give up the port that systemd holds" not systemctl reload sluice
check "and names the socket" says 'sluice.socket holds a socket for it'
cp /root/good.yaml /etc/sluice/routes.yaml

dpkg --remove sluice >/dev/null 2>&1
check "a removal stops the socket, too" not systemctl is-active --quiet sluice.socket
check "so that nobody starts it any more" not page
dpkg --purge sluice >/dev/null 2>&1
check "nothing is left of it" [ ! -e /etc/sluice/routes.yaml ] 
check "and nothing runs" not pgrep -x sluice
[ $failed = 0 ] && echo "all good"
exit $failed
