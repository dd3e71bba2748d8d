#!/usr/bin/env bash
# Installs what the black-box tests talk to: Prometheus (Debian) and a Python environment with the OpenAI client and
# OTLP's protobuf definitions (PyPI). Does nothing where it is all there.
set -euo pipefail
cd "$(dirname "$0")"
cache="${VX11_TEST_CACHE:-$HOME/.cache/vx11}"
venv="$cache/venv"
mkdir -p "$cache"

if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing prometheus"
    apt-get update -qq
    # The package would start a server of its own; the tests start theirs, on free ports.
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d.vx11 && chmod +x /usr/sbin/policy-rc.d.vx11
    RUNLEVEL=1 POLICYRCD=/usr/sbin/policy-rc.d.vx11 DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends prometheus >/dev/null
    rm -f /usr/sbin/policy-rc.d.vx11
  else
    echo "prometheus and promtool are missing: apt-get install prometheus"
    exit 1
  fi
fi

wanted="$(sha256sum python/requirements.txt | cut -d' ' -f1)"
if [ "$(cat "$venv/.requirements" 2>/dev/null || true)" != "$wanted" ]; then
  echo "installing the Python clients"
  rm -rf "$venv"
  python3 -m venv "$venv" || { echo "python3 -m venv failed: apt-get install python3-venv"; exit 1; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r python/requirements.txt
  echo "$wanted" > "$venv/.requirements"
fi
