#!/bin/sh
# Publishes made-up prices, three random walks, until it is stopped. INTERVAL is the time between two of them in seconds; what is
# given behind it goes to `sluice send`, such as --url http://127.0.0.1:9000/publish/.
set -eu
here=$(dirname "$0")
sluice=${SLUICE:-sluice}

awk -v interval="${INTERVAL:-0.5}" '
  function step(price) { return price * (1 + (rand() - 0.49) / 60) }
  BEGIN {
    srand()
    oak = 120; elm = 80; ash = 45
    while (1) {
      oak = step(oak); elm = step(elm); ash = step(ash)
      "date +%s%3N" | getline now
      close("date +%s%3N")
      printf "{\"type\": \"prices\", \"at\": %s, ", now
      printf "\"prices\": {\"OAK\": %.2f, \"ELM\": %.2f, \"ASH\": %.2f}}\n", oak, elm, ash
      fflush()
      if (system("sleep " interval)) exit
    }
  }' | while read -r event; do
  "$sluice" send "$here/routes.yaml" ticker --event "$event" "$@" >/dev/null || continue   # it has said why
done
