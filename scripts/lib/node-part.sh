# shellcheck shell=bash
# A part from npm. Sourced by scripts/parts/NAME; what it installs stands in scripts/parts/NAME.d.

part_die() { echo "$PART: $*" >&2; exit 1; }

# node_part NAME ANSWER PROGRAM HEALTH_URL PORT...: PROGRAM (below the part's folder) is what tells our process
# from another; HEALTH_URL is asked until it answers; `start` prints ANSWER. The part's own script defines
# `run_program`, which becomes the server, and may define `prepare_part`, which runs before each start.
node_part() {
  PART=$1 ANSWER=$2 HEALTH_URL=$4
  SOURCE=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd -P)/$PART.d
  DIR=${ANNALS_PARTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/annals/parts}/$PART
  PROGRAM=$DIR/$3
  shift 4
  PORTS=("$@")
  PIDFILE=$DIR/run/${PORTS[0]}.pid
  LOG=$DIR/run/${PORTS[0]}.log
}

# The pid of our own live server, or nothing: a pid that was given to another process since is not ours.
running_pid() {
  local pid
  [ -s "$PIDFILE" ] || return 1
  read -r pid < "$PIDFILE"
  tr '\0' '\n' < "/proc/$pid/cmdline" 2> /dev/null | grep -qxF -- "$PROGRAM" || return 1
  echo "$pid"
}

port_taken() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

answers() {
  local port
  for port in "${PORTS[@]}"; do port_taken "$port" || return 1; done
  curl -fsS -m 2 "$HEALTH_URL" > /dev/null 2>&1
}

install_part() {
  local want try
  want=$(cat "$SOURCE/package.json" "$SOURCE/package-lock.json" | sha256sum | cut -d' ' -f1)
  [ "$(cat "$DIR/.installed" 2> /dev/null)" != "$want" ] || return 0
  command -v node > /dev/null && command -v npm > /dev/null || part_die "needs Node and npm"
  echo "$PART: installing into $DIR" >&2
  cp "$SOURCE/package.json" "$SOURCE/package-lock.json" "$DIR/"
  for try in 1 2 3; do
    if (cd "$DIR" && npm ci --no-audit --no-fund --loglevel=error > "$DIR/install.log" 2>&1); then
      echo "$want" > "$DIR/.installed"
      return 0
    fi
    echo "$PART: npm ci failed (try $try)" >&2
    sleep $((try * 3))
  done
  tail -30 "$DIR/install.log" >&2
  part_die "could not install; the whole log is $DIR/install.log"
}

start() {
  local port
  mkdir -p "$DIR/run"
  exec 9> "$DIR/.lock"
  flock -w 900 9 || part_die "another start holds $DIR/.lock"
  if running_pid > /dev/null && answers; then echo "$ANSWER"; return 0; fi
  install_part
  if declare -F prepare_part > /dev/null; then prepare_part; fi
  for port in "${PORTS[@]}"; do
    ! port_taken "$port" || part_die "port $port is taken; set another"
  done
  # Not the lock: the server would hold it for as long as it lives.
  (cd "$DIR/run" && run_program < /dev/null > "$LOG" 2>&1 9>&-) &
  echo $! > "$PIDFILE"
  for _ in $(seq 1 600); do
    if answers; then echo "$ANSWER"; return 0; fi
    kill -0 "$(cat "$PIDFILE")" 2> /dev/null || break
    sleep 0.1
  done
  tail -20 "$LOG" >&2
  stop
  part_die "did not become ready; the whole log is $LOG"
}

stop() {
  local pid
  pid=$(running_pid) || { rm -f "$PIDFILE"; return 0; }
  kill "$pid"
  for _ in $(seq 1 100); do
    running_pid > /dev/null || break
    sleep 0.1
  done
  ! running_pid > /dev/null || kill -9 "$pid"
  rm -f "$PIDFILE"
}

status() {
  local pid
  if pid=$(running_pid) && answers; then echo "running $pid $ANSWER"; else echo stopped; return 1; fi
}

run_part() {
  case "${1:-}" in
    start | stop | status) "$1" ;;
    *) sed -n '2,/^set -euo/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2 ;;
  esac
}
