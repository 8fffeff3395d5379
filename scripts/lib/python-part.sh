# shellcheck shell=bash
# A part from PyPI, in a virtual environment of its own. Sourced by scripts/parts/NAME.

part_die() { echo "$PART: $*" >&2; exit 1; }

# python_part NAME REQUIREMENT PORT URL COMMAND [PATH]: PATH is asked over HTTP until it answers; without
# one, the port has to be open.
python_part() {
  PART=$1 REQUIREMENT=$2 PART_PORT=$3 URL=$4 COMMAND=$5 HEALTH=${6:-}
  DIR=${ANNALS_PARTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/annals/parts}/$PART
  PIDFILE=$DIR/run/$PART_PORT.pid
  LOG=$DIR/run/$PART_PORT.log
}

# The pid of our own live server, or nothing: a pid that was given to another process since is not ours.
running_pid() {
  local pid
  [ -s "$PIDFILE" ] || return 1
  read -r pid < "$PIDFILE"
  tr '\0' '\n' < "/proc/$pid/cmdline" 2> /dev/null | grep -qF -- "$DIR/venv/bin/" || return 1
  echo "$pid"
}

port_open() { (exec 3<> "/dev/tcp/127.0.0.1/$PART_PORT") 2> /dev/null; }

answers() {
  if [ -n "$HEALTH" ]; then curl -fsS -m 2 "$URL$HEALTH" > /dev/null 2>&1; else port_open; fi
}

install_part() {
  [ "$(cat "$DIR/.installed" 2> /dev/null)" != "$REQUIREMENT" ] || return 0
  command -v python3 > /dev/null || part_die "needs Python 3.11 or newer"
  echo "$PART: installing $REQUIREMENT into $DIR" >&2
  rm -rf "$DIR/venv"
  if ! python3 -m venv "$DIR/venv" > "$DIR/install.log" 2>&1 \
    || ! "$DIR/venv/bin/pip" install --disable-pip-version-check --retries 3 "$REQUIREMENT" >> "$DIR/install.log" 2>&1; then
    tail -20 "$DIR/install.log" >&2
    part_die "could not install; the whole log is $DIR/install.log"
  fi
  echo "$REQUIREMENT" > "$DIR/.installed"
}

start() {
  mkdir -p "$DIR/run"
  exec 9> "$DIR/.lock"
  flock -w 900 9 || part_die "another start holds $DIR/.lock"
  if running_pid > /dev/null && answers; then echo "$URL"; return 0; fi
  install_part
  ! port_open || part_die "port $PART_PORT is taken; set another"
  cd "$DIR/run"
  # Not the lock: the server would hold it for as long as it lives.
  # shellcheck disable=SC2086 # the command's words
  setsid "$DIR/venv/bin/"$COMMAND < /dev/null > "$LOG" 2>&1 9>&- &
  echo $! > "$PIDFILE"
  for _ in $(seq 1 600); do
    if answers; then echo "$URL"; return 0; fi
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
  if pid=$(running_pid) && answers; then echo "running $pid $URL"; else echo stopped; return 1; fi
}

run_part() {
  case "${1:-}" in
    start | stop | status) "$1" ;;
    *) sed -n '2,/^set -euo/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2 ;;
  esac
}
