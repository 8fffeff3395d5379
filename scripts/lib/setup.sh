# shellcheck shell=bash
# What scripts/run and scripts/test need on a fresh machine with a Rust toolchain. Everything here
# may be run again and again: what is there is left alone. Sourced, with the repository in $ROOT.

POSTGRES_MAJOR_MIN=15
POSTGRES_FETCHED=18.3.0
CACHE=${XDG_CACHE_HOME:-${HOME:?}/.cache}/annals
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
PROFILE=${ANNALS_PROFILE:-dev}
case $PROFILE in
  dev) BUILT=$CARGO_TARGET_DIR/debug ;;
  release) BUILT=$CARGO_TARGET_DIR/release ;;
  *) echo "ANNALS_PROFILE is dev or release, not $PROFILE" >&2; exit 2 ;;
esac

say() { echo "annals: $*" >&2; }
die() { say "$@"; exit 1; }
has() { command -v "$1" > /dev/null 2>&1; }

# apt_install PACKAGE...: with root and apt-get; fails otherwise.
apt_install() {
  [ "$(id -u)" = 0 ] && has apt-get || return 1
  say "installing $* with apt-get"
  {
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" \
      || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; }
  } > "$CACHE/apt.log" 2>&1 || { tail -5 "$CACHE/apt.log" >&2; return 1; }
}

ensure_rust() {
  if ! has cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH=$HOME/.cargo/bin:$PATH; fi
  has cargo || die "no cargo: install Rust with rustup; it picks the version that rust-toolchain.toml names"
  has cc || has gcc || has clang || apt_install gcc libc6-dev \
    || die "no C compiler (cc): some dependencies need one; on Debian: apt-get install build-essential"
}

# The major version of the Postgres programs in a folder, or nothing.
postgres_major() {
  [ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
  "$1/postgres" --version 2> /dev/null | sed -nE 's/^[^0-9]*([0-9]+).*/\1/p'
}

has_postgres() {
  local folder major
  if [ -n "${ANNALS_POSTGRES_BIN:-}" ]; then
    major=$(postgres_major "$ANNALS_POSTGRES_BIN") || die "ANNALS_POSTGRES_BIN: there is no initdb and postgres in $ANNALS_POSTGRES_BIN"
    [ "$major" -ge "$POSTGRES_MAJOR_MIN" ] || die "ANNALS_POSTGRES_BIN: version $major is older than $POSTGRES_MAJOR_MIN"
    return 0
  fi
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
      "$(has pg_config && pg_config --bindir)" "$CACHE/postgres-$POSTGRES_FETCHED/bin"; do
    major=$(postgres_major "$folder") || continue
    [ "${major:-0}" -lt "$POSTGRES_MAJOR_MIN" ] || return 0
  done
  return 1
}

# Postgres programs: the system's, else Maven Central's archive, else the system's package manager.
ensure_postgres() {
  [ -z "${DATABASE_URL:-}" ] || [ "${1:-}" = always ] || return 0
  has_postgres && return 0
  fetch_postgres && has_postgres && return 0
  apt_install postgresql && has_postgres && return 0
  die "no PostgreSQL $POSTGRES_MAJOR_MIN or newer, and none could be fetched. One of these helps:
  - install it (on Debian: apt-get install postgresql), or name its programs with ANNALS_POSTGRES_BIN
  - install Maven (mvn), or name a Maven repository with ANNALS_MAVEN_URL: its archive is fetched then
  - set DATABASE_URL to a PostgreSQL that runs elsewhere"
}

# The major version of Java, or 0.
java_major() {
  local major
  major=$(java -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p' | head -1) || true
  echo "${major:-0}"
}

# What scripts/parts/kafka needs: Java 17 or newer and Maven. And kcat, where it can be had: a
# consumer that nobody here wrote.
ensure_kafka_tools() {
  if ! has java || [ "$(java_major)" -lt 17 ]; then
    apt_install openjdk-17-jre-headless || apt_install openjdk-21-jre-headless || apt_install default-jre-headless || true
  fi
  has mvn || apt_install maven || true
  has kcat || apt_install kcat || true
  has java && [ "$(java_major)" -ge 17 ] && has mvn
}

# Maven Central's archive of the Postgres programs into the cache. The host is Maven's own business,
# or ANNALS_MAVEN_URL's: none is written here.
fetch_postgres() (
  set -euo pipefail
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) platform=linux-amd64 ;;
    Linux-aarch64) platform=linux-arm64v8 ;;
    *) say "there is no Postgres to fetch for $(uname -s) $(uname -m)"; exit 1 ;;
  esac
  artifact=embedded-postgres-binaries-$platform
  target=$CACHE/postgres-$POSTGRES_FETCHED
  mirror=${ANNALS_MAVEN_URL:-${MAVEN_MIRROR:-}}
  mkdir -p "$CACHE"
  work=$(mktemp -d "$CACHE/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  jar=$work/$artifact-$POSTGRES_FETCHED.jar
  say "fetching PostgreSQL $POSTGRES_FETCHED (15 MB) into $target"
  if [ -n "$mirror" ] && has curl; then
    curl -fsSL --retry 3 -o "$jar" \
      "${mirror%/}/io/zonky/test/postgres/$artifact/$POSTGRES_FETCHED/$artifact-$POSTGRES_FETCHED.jar" || exit 1
  elif has mvn; then
    mvn -q -B dependency:copy -Dartifact="io.zonky.test.postgres:$artifact:$POSTGRES_FETCHED" \
      -DoutputDirectory="$work" > "$work/mvn.log" 2>&1 || { tail -5 "$work/mvn.log" >&2; exit 1; }
  else
    say "neither mvn nor ANNALS_MAVEN_URL (with curl) is here to fetch it with"
    exit 1
  fi
  mkdir "$work/jar" "$work/postgres"
  if has unzip; then unzip -q "$jar" -d "$work/jar"
  elif has jar; then (cd "$work/jar" && jar xf "$jar")
  elif has python3; then python3 -m zipfile -e "$jar" "$work/jar"
  else apt_install unzip && unzip -q "$jar" -d "$work/jar" || { say "unzip is needed to unpack it"; exit 1; }
  fi
  has xz || apt_install xz-utils || { say "xz is needed to unpack it"; exit 1; }
  tar -xJf "$work"/jar/*.txz -C "$work/postgres"
  chmod -R go+rX "$work/postgres"
  rm -rf "$target"
  mv "$work/postgres" "$target"
)

# The one build that both commands share. With --workspace, because cargo chooses features for the
# packages that it is given: -p would build half of the dependencies a second time for the tests.
build_program() {
  (cd "$ROOT" && cargo build --locked --profile "$PROFILE" --workspace --bin "$1")
}
