#!/bin/bash
# run_examples.sh SOURCE DOCUMENT PROGRAM: runs the blocks marked ```sh of a document of SOURCE, in order, in one folder. `./run` and
# `./test` alone are left out: they install packages, train for minutes, and call this test.
set -euo pipefail
source=$1 document=$2 program=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" && ln -s "$program" "$work/bin/glossa"
cp -r "$source/recipes" "$work/recipes"
export PATH=$work/bin:$PATH
awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside && !/^\.\/(run|test)$/' "$source/$document" >"$work/examples.sh"
[ -s "$work/examples.sh" ] || { echo "$document has no examples"; exit 1; }
cd "$work"
if ! bash -euo pipefail examples.sh >log 2>&1; then
  cat log
  exit 1
fi
