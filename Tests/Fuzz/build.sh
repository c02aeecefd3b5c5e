#!/usr/bin/env bash
# Builds fuzz targets: build.sh [TARGET...], all of them when none is given. What is newer than its sources stays.
#
# SwiftPM has no build of a library without its dependencies, so the compiler is called here: each target is compiled with only
# the sources that it is about, which takes seconds. The flags are those of Package.swift.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/Fuzz
out=.build/fuzz

flags=(
  -O -g -swift-version 6 -package-name sluice -parse-as-library -whole-module-optimization -enable-testing
  -sanitize=fuzzer,address -warnings-as-errors -strict-memory-safety -module-cache-path $out/cache
  -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault
  -enable-upcoming-feature MemberImportVisibility -enable-upcoming-feature NonisolatedNonsendingByDefault
  -enable-experimental-feature Lifetimes
  -Xcc -fmodule-map-file=Sources/CYAML/module.modulemap -Xcc -fmodule-map-file=Sources/CZlib/module.modulemap
)

newer_than() {
  local file=$1
  shift
  [ ! -e "$file" ] || [ -n "$(find "$@" $here/build.sh -newer "$file" -print -quit)" ]
}

# module NAME FILES...: a module, for the targets that import it.
module() {
  local name=$1
  shift
  newer_than $out/$name.o "$@" || return 0
  swiftc "${flags[@]}" -emit-module -emit-module-path $out/$name.swiftmodule -emit-object -module-name "$name" -I $out \
    -o $out/$name.o $(find "$@" -name '*.swift' | sort)
  # An object that came out the same is not written again.
  touch $out/$name.o
}

# target NAME "MODULES" "LIBRARIES" FILES...: an executable of a harness, the files, and the modules' objects.
target() {
  local name=$1 modules=$2 libraries=$3 objects=() library
  shift 3
  for library in $modules; do objects+=("$out/$library.o"); done
  for library in $libraries; do objects+=("-l$library"); done
  local sources=($here/Harnesses/Harness.swift $here/Harnesses/$name.swift "$@")
  newer_than $out/$name "${sources[@]}" ${modules:+$(printf "$out/%s.o " $modules)} || return 0
  swiftc "${flags[@]}" -use-ld=lld -emit-executable -module-name "Fuzz_$name" -I $out -o $out/$name \
    -emit-module -emit-module-path $out/Fuzz_$name.swiftmodule \
    $(find "${sources[@]}" -name '*.swift' | sort) "${objects[@]}"
}

build() {
  local layers=Sources/RedisLayers configuration=Sources/GatewayConfig
  case $1 in
    body | frames | inflater | records | requesthead) target "$1" "Bytes Crypto WebSocketCore" z ;;
    json) target json "Bytes JSON" "" ;;
    messagepack)
      target messagepack "Bytes JSON Transport" "" $layers/Serialization/MessagePack{Reader,Writer}.swift \
        $layers/Serialization/CodecFault.swift
      ;;
    resp) target resp "Transport" "" Sources/RedisClient/RESP ;;
    wsevents)
      target wsevents "Bytes JSON Crypto WebSocketCore" z Sources/Sessions/View/WebSocketOverHTTP/WebSocketEvent.swift \
        Sources/Sessions/View/WebSocketOverHTTP/Grip{Control,Extension,State}.swift
      ;;
    yaml)
      target yaml "Bytes JSON" yaml $configuration/{YAML,Source,Sequence+Unique.swift} $here/StandIns/{GroupTable,UnreadSecrets}.swift \
        $(find $configuration/Diagnostics -name '*.swift' -not -name GroupTable.swift)
      ;;
    patterns) target patterns "Bytes Routing" "" Tests/RoutingTests/Reference.swift ;;
    *)
      echo "build.sh: there is no target \"$1\"" >&2
      return 2
      ;;
  esac
}

# Two compilers at a time, as the machines that check a change have two processors.
both() {
  local status=0 job
  "${@:1:2}" & job=$!
  [ $# -lt 3 ] || "${@:3:2}" || status=$?
  wait $job || status=$?
  return $status
}

mkdir -p $out
if [ $# -eq 0 ]; then set -- frames inflater records requesthead body json messagepack resp wsevents yaml patterns; fi
module Bytes Sources/Bytes
modules() {
  module JSON Sources/JSON
  module Crypto $here/StandIns/Crypto.swift
  module Transport $here/StandIns/Transport.swift
  module WebSocketCore Sources/WebSocketCore
}
modules & job=$!
module Routing Sources/Routing
wait $job
while [ $# -gt 0 ]; do
  both build "$1" ${2:+build "$2"}
  shift $(($# > 1 ? 2 : 1))
done
