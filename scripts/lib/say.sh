# Lines for the person at the terminal. All go to stderr: stdout belongs to the command.

say() { printf '%s\n' "$*" >&2; }

# One line, and the end: what is wrong, and what to do.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# with_progress <words> <command…>: runs the command quietly; after two seconds a line says what
# is being waited for, and every fifteen seconds how long it has been. If the command fails, its
# output is shown.
with_progress() {
  local words=$1 out ticker code=0
  shift
  out=$(mktemp)
  (
    trap 'kill "$pause" 2>/dev/null; exit 0' TERM
    sleep 2 &
    pause=$!
    wait "$pause"
    say "… $words"
    waited=2
    while :; do
      sleep 15 &
      pause=$!
      wait "$pause"
      waited=$((waited + 15))
      say "… $words (${waited} s)"
    done
  ) &
  ticker=$!
  "$@" >"$out" 2>&1 || code=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  if [ "$code" -ne 0 ]; then
    tail -n 40 "$out" >&2
  fi
  rm -f "$out"
  return "$code"
}
