#!/usr/bin/env bash
# Compares the release binary with other servers. Everything it installs and writes stays under .build/bench.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/Bench
home=.build/bench
mkdir -p "$home"

python3=${PYTHON3:-python3}
if ! cmp --quiet $here/requirements.txt "$home/venv/requirements.txt"; then
  "$python3" -m venv "$home/venv"
  "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r $here/requirements.txt
  cp $here/requirements.txt "$home/venv/requirements.txt"
fi
exec "$home/venv/bin/python" $here/run.py "$@"
