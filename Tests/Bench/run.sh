#!/usr/bin/env bash
# Compares the release binary with other servers. Everything it installs and writes stays under .build/bench.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/Bench
home=.build/bench
mkdir -p "$home"

Tests/venv.sh "$home/venv" $here/requirements.txt
exec "$home/venv/bin/python" $here/run.py "$@"
