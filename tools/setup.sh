#!/bin/bash
# Makes .venv from requirements.lock and installs the package into it, editable; does nothing when all is as it should be.
set -eu -o pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=.venv
LOCKED="$VENV/.locked"
INSTALLED="$VENV/.installed"

digest() { "$PYTHON" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"; }
fail() { echo "setup: $*" >&2; exit 1; }

command -v "$PYTHON" >/dev/null || fail "$PYTHON was not found: install Python 3.11 or later, or say which one: make PYTHON=/path/to/python3 setup"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$PYTHON" --version) is too old: Python 3.11 or later is needed; say which one: make PYTHON=/path/to/python3 setup"

if [ ! -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
  echo "setup: making the virtual environment $VENV ($("$PYTHON" --version))"
  "$PYTHON" -m venv --clear "$VENV" || fail "python3 -m venv failed: on Debian and Ubuntu, install the package python3-venv"
fi

lock=$(digest requirements.lock)
if [ "$(cat "$LOCKED" 2>/dev/null || true)" != "$lock" ]; then
  echo "setup: installing the locked dependencies (a minute on a fresh machine)"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
  echo "$lock" >"$LOCKED"
fi

# The build backend is in the lock, so nothing is fetched here.
project=$(digest pyproject.toml)
if [ "$(cat "$INSTALLED" 2>/dev/null || true)" != "$project" ]; then
  echo "setup: installing tenantry, editable"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --no-index --editable .
  echo "$project" >"$INSTALLED"
fi
