#!/usr/bin/env bash
# Runs the release binary against Python clients, a real browser, Django's router and the Autobahn suite. Everything it
# installs stays under .build/interop.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/Interop
home=.build/interop
mkdir -p "$home"

Tests/venv.sh "$home/venv" $here/requirements.txt

# The Autobahn suite speaks Python 2.7 only.
python27=${PYTHON27:-$(ls "$HOME"/.pyenv/versions/2.7.*/bin/python2.7 2>/dev/null | tail -1 || true)}
python27=${python27:-$(command -v python2.7 || true)}
if [ ! -x "$home/autobahn/bin/wstest" ] && [ -n "$python27" ]; then
  "$home/venv/bin/virtualenv" --quiet -p "$python27" "$home/autobahn"
  "$home/autobahn/bin/pip" install --quiet autobahntestsuite
fi

export SLUICE=$PWD/.build/release/sluice
export WSTEST=$PWD/$home/autobahn/bin/wstest
export ARTEFACTS=$PWD/$home

# Most tests wait rather than work, and run three at a time, the tests of a file in one process. Those that measure run alone.
failed=0
tests() {
  local status=0
  "$home/venv/bin/pytest" -q -p no:cacheprovider --durations=10 "$@" || status=$?
  # 5: there is no such test among those that were asked for.
  [ $status -eq 0 ] || [ $status -eq 5 ] || failed=$status
}
tests -m "not alone" -n 3 --dist loadfile --no-loadscope-reorder "$@" $here
tests -m alone "$@" $here
exit $failed
