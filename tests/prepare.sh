#!/usr/bin/env bash
# Installs what tests talk to: Prometheus, Redis, PostgreSQL and Node.js (Debian), other people's clients and OTLP's protobuf definitions
# (PyPI, npm). All of it stays outside of the checkout, and nothing is done where it is all there.
set -euo pipefail
cd "$(dirname "$0")"
cache="${VX11_TEST_CACHE:-$HOME/.cache/vx11}"
mkdir -p "$cache"

# Installs Debian's `package` unless `commands` are there. The packages would start servers of their own; the tests start
# theirs, on free ports.
install() { # package, commands
  local package="$1"; shift
  command -v "$@" >/dev/null && [ "$(command -v "$@" | wc -l)" = $# ] && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing: $* (apt-get install $package)"
    exit 1
  fi
  echo "installing $package"
  apt-get update -qq
  local policy=/usr/sbin/policy-rc.d ours=""
  if [ ! -e "$policy" ]; then
    ours="$policy"
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod +x "$policy"
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
  if [ -n "$ours" ]; then rm -f "$ours"; fi
}

# Makes the Python environment `name` with what its list names, unless it is as the list says.
python_env() { # name, list
  local venv="$cache/$1" list="$2" wanted
  wanted="$(sha256sum "$list" | cut -d' ' -f1)"
  [ "$(cat "$venv/.requirements" 2>/dev/null || true)" = "$wanted" ] && return
  echo "installing Python's packages of $list"
  rm -rf "$venv"
  python3 -m venv "$venv" || { echo "python3 -m venv failed: apt-get install python3-venv"; exit 1; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$list"
  echo "$wanted" > "$venv/.requirements"
}

# Installs npm's packages as the lock file says, unless they are there.
node_modules() {
  local folder="$cache/node" wanted
  wanted="$(sha256sum node/package-lock.json | cut -d' ' -f1)"
  [ "$(cat "$folder/.lock" 2>/dev/null || true)" = "$wanted" ] && return
  echo "installing npm's packages"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp node/package.json node/package-lock.json "$folder/"
  (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
  echo "$wanted" > "$folder/.lock"
}

install prometheus prometheus promtool
install redis-server redis-server redis-cli
# Its server is outside of the path.
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || install postgresql initdb
install nodejs node
install npm npm
python_env venv python/requirements.txt
python_env litellm python/litellm.txt
python_env smtp python/smtp.txt
python_env schemathesis python/schemathesis.txt
node_modules
