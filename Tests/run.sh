#!/usr/bin/env bash
# Everything that `make test` checks, with the time each part took.
set -euo pipefail
cd "$(dirname "$0")/.."

part() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@"
  echo "== $name: $((SECONDS - start)) s"
}

validate_all() {
  local file
  # Secrets that examples take from the environment.
  local -x SIGNING_KEY=0123456789abcdef0123456789abcdef PUBLISH_TOKEN=0123456789abcdef SLUICE_SECRET=0123456789abcdef0123456789abcdef
  for file in routes.yaml examples/*/routes.yaml examples/*/*/routes.yaml; do
    .build/release/sluice validate --strict "$file"
  done
  # A file for -f is checked with the file that it is laid over.
  local environments=examples/environments
  .build/release/sluice validate --strict $environments/routes.yaml -f $environments/production.yaml
  .build/release/sluice validate --strict $environments/routes.yaml -f $environments/production.yaml -f $environments/staging.yaml
}

# Both at a time: the modules of a release are compiled one after the other, which keeps one processor busy.
build_rest() {
  Tests/Fuzz/build.sh &
  local fuzzers=$!
  if ! make --no-print-directory build; then
    kill $fuzzers
    return 1
  fi
  wait $fuzzers
}

part "format lint" make --no-print-directory lint
part "build, warnings are errors" swift build --build-tests
# Tests that wait for tasks, or have a time limit, do not share the two or three threads of Swift's tasks with long computations.
waiting="GatewayServerTests|PublishEndpointTests|SharedQuestionsTests|ExchangeTests|HTTPConnectionTests|HTTPRelayTests|SessionTests|PendingConnectionTests|WorkerTests|RedisHistoryTests|RedisRecordsTests|RedisWithdrawalTests|AdminServerTests"
timed="RouterTests|TableAnalysisTests|RendererTests"
part "unit tests" swift test --disable-xctest --skip-build --skip "UpstreamFuzzTests|$waiting|$timed"
part "unit tests that wait" swift test --disable-xctest --skip-build --filter "$waiting"
part "unit tests with a time" swift test --disable-xctest --skip-build --filter "$timed"
part "answers of hostile servers" swift test --disable-xctest --skip-build --filter UpstreamFuzzTests
part "release build, and that of the fuzzers" build_rest
part "fuzzing, a few seconds each" env SEED=1 Tests/Fuzz/run.sh 3
part "examples" validate_all
part "interop and conformance" Tests/Interop/run.sh
