# The tests run on a PostgreSQL of their own, made from the programs that are installed.
# Wants say.sh.

# Puts initdb and postgres on PATH, where Debian keeps them off it.
ensure_postgres() {
  local folder
  if ! command -v initdb >/dev/null 2>&1; then
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin; do
      if [ -x "$folder/initdb" ]; then
        PATH="$folder:$PATH"
        export PATH
      fi
    done
  fi
  if ! command -v initdb >/dev/null 2>&1 || ! command -v postgres >/dev/null 2>&1; then
    fail "the storage tests need PostgreSQL's initdb and postgres (Debian, Ubuntu: apt install postgresql; macOS: brew install postgresql)."
  fi
}
