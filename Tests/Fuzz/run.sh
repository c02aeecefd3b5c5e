#!/usr/bin/env bash
# Fuzzes what reads the bytes of others, two targets at a time.
#
#   run.sh [SECONDS] [TARGET...]     fuzzes each target for so long (60), all targets when none is given
#   run.sh again TARGET FILE...      runs inputs again, to see what a finding was
#   run.sh keep [TARGET...]          makes the kept corpus anew: the fewest inputs that reach what all known ones reach
#
# With SEED=N the run starts from the kept corpus alone and takes the same decisions every time; without it, it goes on from what
# earlier runs have found, under .build/fuzz.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/Fuzz
out=.build/fuzz
all=(patterns yaml frames inflater records requesthead body json messagepack resp wsevents)

# A slow or a large input is a finding too: seconds for one input, MiB for the process. The sanitizer keeps 16 MiB of what was
# freed; it looks for leaks by stopping the process, which a container may forbid. Swift's own report of a trap waits for
# libFuzzer's, for ever.
bounds=(-timeout=30 -rss_limit_mb=1024 -max_len=4096 -detect_leaks=0 -print_final_stats=1)
export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16:malloc_context_size=4:handle_sigtrap=1
export SWIFT_BACKTRACE=enable=no SWIFT_DETERMINISTIC_HASHING=1

# The number that libFuzzer printed last under a name.
number() { sed -n "s/.*$1:* *\([0-9][0-9]*\).*/\1/p" "$2" | tail -1; }

fuzz() {
  local target=$1 seconds=$2 log=$out/$1.log status=0 dictionary=$here/dictionaries/$1.txt new
  mkdir -p $out/findings $out/found/$target
  # What is found goes to the first folder.
  new=$out/found/$target
  if [ -n "${SEED:-}" ]; then
    new=$out/fresh/$target
    rm -rf "$new" && mkdir -p "$new"
  fi
  [ ! -e "$dictionary" ] || set -- "$@" -dict="$dictionary"
  shift 2
  $out/$target "${bounds[@]}" -max_total_time="$seconds" ${SEED:+-seed=$SEED} "$@" \
    -artifact_prefix=$out/findings/$target- "$new" $here/corpus/$target </dev/null >"$log" 2>&1 || status=$?
  if [ $status -eq 0 ]; then
    echo "$target: $(number 'stat::number_of_executed_units' "$log") inputs in $seconds s, coverage $(number cov "$log")"
    return
  fi
  grep -m 1 -E 'Fatal error|^SUMMARY|ERROR: ' "$log" | cut -c1-2000 || tail -20 "$log"
  echo "$target: a finding; all that was said of it is in $log. To see it again:"
  sed -n "s|.*Test unit written to \(.*\)|  $here/run.sh again $target \1|p" "$log"
  return 1
}

again() {
  local target=$1
  shift
  $here/build.sh "$target"
  $out/"$target" "${bounds[@]}" "$@"
}

keep() {
  local target=$1 new=$out/kept/$1
  rm -rf "$new" && mkdir -p "$new" $out/found/"$target"
  $out/"$target" "${bounds[@]}" -set_cover_merge=1 -use_counters=0 "$new" $here/corpus/"$target" $out/found/"$target" >$out/"$target".log 2>&1
  rm -rf $here/corpus/"${target:?}"
  mv "$new" $here/corpus/"$target"
  echo "$target: $(ls $here/corpus/"$target" | wc -l) inputs, $(cat $here/corpus/"$target"/* | wc -c) bytes"
}

case ${1:-} in
  again)
    shift
    again "$@"
    exit
    ;;
  keep)
    shift
    if [ $# -eq 0 ]; then set -- "${all[@]}"; fi
    $here/build.sh "$@"
    for target; do keep "$target"; done
    exit
    ;;
esac

seconds=60
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
  seconds=$1
  shift
fi
if [ $# -eq 0 ]; then set -- "${all[@]}"; fi
$here/build.sh "$@"

status=0
while [ $# -gt 0 ]; do
  fuzz "$1" "$seconds" & job=$!
  if [ $# -gt 1 ]; then
    fuzz "$2" "$seconds" || status=1
    shift
  fi
  wait $job || status=1
  shift
done
exit $status
