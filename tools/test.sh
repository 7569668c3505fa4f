#!/bin/bash
# Every check and every test, in the order in which they fail fastest; stops at the first that fails.
set -eu -o pipefail
cd "$(dirname "$0")/.."
BIN=${1:-.venv/bin}

step() {
  local title=$1 started=$SECONDS
  shift
  printf '\n== %s: %s\n' "$title" "${*#"$BIN"/}"
  "$@" || { printf '== %s FAILED after %ss\n' "$title" $((SECONDS - started)) >&2; exit 1; }
  printf '== %s: done in %ss\n' "$title" $((SECONDS - started))
}

# Tests against real clusters wait for things that a busy machine may delay beyond any patience.  What failed runs once
# more, alone: what is broken fails again, and a second try is told, so that nobody takes it for a first.
tests_on_clusters() {
  "$BIN/python" -m pytest -q "$@" && return 0
  printf '== some tests of %s failed; these run once more\n' "$*" >&2
  "$BIN/python" -m pytest -q --last-failed --last-failed-no-failures none "$@"
}

step "format" "$BIN/ruff" format --check .
step "lint" "$BIN/ruff" check .
step "types" "$BIN/mypy"
step "import contracts" "$BIN/lint-imports"
step "dependencies" "$BIN/deptry" .
step "unit tests" "$BIN/python" -m pytest -q -n 2 tests/unit tests/test_house_rules.py
# Made once and kept in the user's cache folder; by a test's own clock a first time would take too long.
step "real clients" "$BIN/python" tests/support/goprograms.py
step "identity provider" "$BIN/python" tests/support/keycloak.py
step "integration tests" tests_on_clusters tests/integration
step "end-to-end tests" tests_on_clusters tests/e2e
printf '\nall checks and tests passed in %ss\n' "$SECONDS"
