#!/usr/bin/env bash
# Sees that the tests of pages have a Chromium: the one that is there, or Debian's. Without one they are skipped.
set -euo pipefail

for program in chromium chromium-browser google-chrome; do
  if command -v "$program" >/dev/null; then exit 0; fi
done
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  if apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; then exit 0; fi
fi
echo "no Chromium, so the tests of pages are skipped; install it: apt-get install chromium fonts-dejavu-core" >&2
