#!/usr/bin/env bash
# The mean of the log posteriors of systems beside DIR: --what A+B; --what A+ is the ensemble of the runs of A.
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

systems=()
for name in ${what//+/ }; do
  systems+=("$(dirname "$dir")/$name")
  need "${systems[-1]}" "name $name before the fusion in --systems"
done
fuse-scores "$folds" "${systems[@]}" "$dir"
