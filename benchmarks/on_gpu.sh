#!/bin/sh
# All that only a GPU can show, in one command of at most nine minutes, on a bare machine without
# network: benchmarks/on_gpu.sh
#
# The machine needs Python 3.12 with a CUDA build of torch, numpy and Pillow. Packages that it lacks
# come from the folder WHEELS (default build/gpu-wheels), which `make gpu-wheels` fills elsewhere.
#
#   DEVICE=cpu   rehearse on the processor, with small models
#   OUT=FOLDER   where each part writes its JSON as it ends (default benchmarks/results/gpu)
#   PYTHON=PATH  the Python that has torch
#
# benchmarks/on_gpu.sh --help names the parts; arguments are handed on.
set -eu
cd "$(dirname "$0")/.."

python=""
for candidate in ${PYTHON:-} python3.12 python3 python; do
    if "$candidate" -c 'import importlib.util, sys
sys.exit(not ((3, 11) <= sys.version_info < (3, 13) and importlib.util.find_spec("torch")))' \
        2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "No Python 3.12 with torch was found. Name it: PYTHON=/path/to/python benchmarks/on_gpu.sh" >&2
    exit 1
fi

wheels=${WHEELS:-build/gpu-wheels}
if ls "$wheels"/*.whl >/dev/null 2>&1 \
    && "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))'; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    chmod 755 "$site" # the embedded servers run as an account without privileges
    began=$(date +%s)
    "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile \
        --no-cache-dir --target "$site" "$wheels"/*.whl
    echo "Installed the wheels of $wheels in $(($(date +%s) - began)) s"
    PYTHONPATH="$site:$PWD${PYTHONPATH:+:$PYTHONPATH}"
else
    PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
fi
export PYTHONPATH
"$python" -m benchmarks.on_gpu --device "${DEVICE:-auto}" --out "${OUT:-benchmarks/results/gpu}" "$@"
