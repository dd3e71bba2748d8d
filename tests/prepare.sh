#!/usr/bin/env bash
# Installs what tests talk to: Prometheus and Redis (Debian), and a Python environment with the OpenAI client and OTLP's
# protobuf definitions (PyPI). Does nothing where it is all there.
set -euo pipefail
cd "$(dirname "$0")"
cache="${VX11_TEST_CACHE:-$HOME/.cache/vx11}"
venv="$cache/venv"
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

install prometheus prometheus promtool
install redis-server redis-server

wanted="$(sha256sum python/requirements.txt | cut -d' ' -f1)"
if [ "$(cat "$venv/.requirements" 2>/dev/null || true)" != "$wanted" ]; then
  echo "installing the Python clients"
  rm -rf "$venv"
  python3 -m venv "$venv" || { echo "python3 -m venv failed: apt-get install python3-venv"; exit 1; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r python/requirements.txt
  echo "$wanted" > "$venv/.requirements"
fi
