# Makes $ROOT/.venv from a lock file, and does nothing where it is up to date.
# Wants $ROOT, $CACHE and say.sh.

# What the environment was made from: the place, which its editable install and its scripts name,
# and the lock. Compared byte by byte, which costs a few milliseconds.
_venv_recipe() { printf '%s\n' "$ROOT" && cat "$ROOT/$1"; }

_venv_is_made_from() {
  [ -x "$ROOT/.venv/bin/python" ] && [ -f "$ROOT/.venv/made-from" ] &&
    _venv_recipe "$1" | cmp -s - "$ROOT/.venv/made-from"
}

# Another lock is installed over the old one, so that programs that run from it keep running.
_venv_can_stay() {
  [ -f "$ROOT/.venv/made-from" ] && [ "$(head -n 1 "$ROOT/.venv/made-from")" = "$ROOT" ] &&
    _is_new_enough "$ROOT/.venv/bin/python"
}

_is_new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Prints a Python of 3.11 or later; empty where there is none.
_find_python() {
  local name
  for name in ${NEXUS_PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3 python; do
    if command -v "$name" >/dev/null 2>&1 && _is_new_enough "$name"; then
      # A version manager's shim gives way to the interpreter itself.
      "$name" -c 'import sys; print(sys.executable)'
      return
    fi
  done
}

# Prints a uv: from PATH, from the cache, or installed into the cache; empty where that fails.
_find_uv() {
  local python=$1
  if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then
    command -v uv
  elif [ -x "$CACHE/uv/bin/uv" ]; then
    printf '%s\n' "$CACHE/uv/bin/uv"
  elif [ -n "$python" ]; then
    rm -rf "$CACHE/uv"
    if "$python" -m venv "$CACHE/uv" >/dev/null 2>&1 &&
      with_progress "Fetching uv, which installs the packages" "$CACHE/uv/bin/pip" install -q uv; then
      printf '%s\n' "$CACHE/uv/bin/uv"
    else
      rm -rf "$CACHE/uv"
    fi
  fi
}

_install_with_uv() {
  local uv=$1 python=$2 lock=$3
  if ! _venv_can_stay; then
    "$uv" venv --quiet --clear --python "${python:->=3.11}" "$ROOT/.venv" || return
  fi
  # Compiled now, so that no start pays for it: pip does that by itself, uv does when asked.
  "$uv" pip install --quiet --compile-bytecode --python "$ROOT/.venv/bin/python" \
    --require-hashes -r "$ROOT/$lock" &&
    "$uv" pip install --quiet --python "$ROOT/.venv/bin/python" --no-deps --no-build-isolation \
      -e "$ROOT"
}

_install_with_pip() {
  local python=$1 lock=$2
  if ! { _venv_can_stay && [ -x "$ROOT/.venv/bin/pip" ]; }; then
    "$python" -m venv --clear "$ROOT/.venv" || return
  fi
  "$ROOT/.venv/bin/pip" install -q --require-hashes -r "$ROOT/$lock" &&
    "$ROOT/.venv/bin/pip" install -q --no-deps --no-build-isolation -e "$ROOT"
}

# ensure_venv <lock file>
ensure_venv() {
  local lock=$1 python uv
  # What the tests need includes what the platform needs: one environment serves both.
  if _venv_is_made_from "$lock" || _venv_is_made_from requirements-dev.lock; then
    return
  fi
  if [ -f "$ROOT/.venv/for-tests" ]; then
    lock=requirements-dev.lock
  fi
  python=$(_find_python)
  uv=$(_find_uv "$python")
  if [ -z "$python$uv" ]; then
    fail "no Python 3.11 or later on PATH. Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python), or uv, or name one in NEXUS_PYTHON."
  fi
  if [ -z "$uv" ] && ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    fail "$python cannot make virtual environments. Install its venv module (Debian, Ubuntu: apt install python3-venv), or uv."
  fi
  if [ -n "$uv" ]; then
    with_progress "Installing the packages of $lock into .venv" _install_with_uv "$uv" "$python" "$lock" ||
      fail "the packages of $lock could not be installed (above is why). With the network back, run this again."
  else
    with_progress "Installing the packages of $lock into .venv with pip" _install_with_pip "$python" "$lock" ||
      fail "the packages of $lock could not be installed (above is why). With the network back, run this again."
  fi
  if [ "$lock" = requirements-dev.lock ]; then
    touch "$ROOT/.venv/for-tests"
  fi
  _venv_recipe "$lock" >"$ROOT/.venv/made-from"
}
