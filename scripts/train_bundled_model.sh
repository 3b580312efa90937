#!/usr/bin/env bash
# Trains the bundled model from the photos beside the project. It takes hours, and goes on where it was cut off.
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
TAEF2=$SHARED/weights/taef2
MODEL=models/aiface-mobilenetv2.onnx

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

autoencoder() {
  local name=$1
  shift
  step "autoencoder-$name" "$RUNS/autoencoders/$name.pt" "$BIN/aiface-train" autoencoder "$DATA" -o "$RUNS/autoencoders/$name.pt" "$@"
}

# finetune NAME ARGUMENT...: a run whose state lies in NAME/run was cut off, and goes on from there.
finetune() {
  local name=$1 resume=()
  shift
  if [[ -d $RUNS/$name/run ]]; then resume=(--resume); fi
  step "$name" "$RUNS/$name/aiface.json" "$BIN/aiface-train" finetune "$DATA" "$@" -o "$RUNS/$name" ${resume[@]+"${resume[@]}"}
}

autoencoder ps4 --upsampling pixel_shuffle --factor 4 --latent 4 --critic --steps 1200 --seed 8
autoencoder tr4 --upsampling transposed --factor 4 --latent 4 --critic --seed 8
autoencoder bl4 --upsampling bilinear --factor 4 --latent 3 --critic --seed 7
autoencoder nn8 --upsampling nearest --factor 8 --latent 12 --seed 20

small=()
for name in ps4 tr4 bl4 nn8; do small+=(--autoencoder "$RUNS/autoencoders/$name.pt"); done
step reconstructions "$RUNS/reconstructions/manifest.csv" "$BIN/aiface-train" reconstructions "$DATA" \
  --autoencoder "$TAEF2" "${small[@]}" -o "$RUNS/reconstructions" --size 240 --per-source 130
step reconstructions_taef2 "$RUNS/reconstructions_taef2/manifest.csv" "$BIN/aiface-train" reconstructions "$DATA" \
  --autoencoder "$TAEF2" -o "$RUNS/reconstructions_taef2" --size 240 --per-source 400

finetune stage1 "$RUNS/reconstructions" --init "$SHARED/weights/mobilenetv2/backbone.pth"
finetune stage2 "$RUNS/reconstructions" "$RUNS/reconstructions_taef2" --recipe mobilenetv2_fine --init "$RUNS/stage1"
finetune stage3 "$RUNS/reconstructions" "$RUNS/reconstructions_taef2" --recipe mobilenetv2_fine --init "$RUNS/stage2" \
  --set samples=100000 --set seed=2028 \
  --set 'freeze=["mobilenet_v2.conv_stem.","mobilenet_v2.layer.0.","mobilenet_v2.layer.1."]' \
  --set augmentation.weak=0.5 --set 'augmentation.weak_pairs=[0.3,0.1]'

step calibrate "$RUNS/averaged/aiface.json" "$BIN/aiface-train" calibrate "$RUNS/stage2" "$RUNS/stage3" "$DATA" \
  -o "$RUNS/averaged"
step evaluate "$RUNS/averaged/evaluation.json" "$BIN/aiface-train" evaluate "$RUNS/averaged" "$DATA" \
  --split val --split test -o "$RUNS/averaged/evaluation.json"
step export "$MODEL" "$BIN/aiface-export" "$RUNS/averaged" -o "$MODEL" --model-version 3 --images "$DATA/val" \
  --scaled-decoding --bundle
step plots docs/model/evaluation-roc.png cp "$RUNS/averaged/evaluation-reliability.png" "$RUNS/averaged/evaluation-roc.png" \
  "$RUNS/averaged/evaluation-generators.png" docs/model/
