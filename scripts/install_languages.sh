#!/usr/bin/env bash
# Gets what the programs in other languages are built with into a folder: onnxruntime-node, and onnxruntime's C++ headers.
#
#     scripts/install_languages.sh .venv/languages
#
# The library that C++ links to is that of the Python package onnxruntime, which brings no headers. One of npm, for
# Unity, does: 150 MB, of which 1 MB is kept.
set -euo pipefail
folder=$1
mkdir -p "$folder"
if ! command -v npm > /dev/null; then
  echo "npm is not installed: the programs in other languages are not tested" >&2
  exit 0
fi
# Its install script would download CUDA libraries; the CPU's are inside.
npm install --silent --ignore-scripts --no-audit --no-fund --prefix "$folder" onnxruntime-node@1.30.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent com.github.asus4.onnxruntime@0.4.9)
mkdir -p "$work/headers"
tar -xzf "$work"/com.github.asus4.onnxruntime-0.4.9.tgz -C "$work/headers" --strip-components=7 --wildcards '*/ios-arm64/*/Headers/*.h'
rm -rf "$folder/headers"
mv "$work/headers" "$folder/headers"
