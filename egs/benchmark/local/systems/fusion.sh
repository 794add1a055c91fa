#!/usr/bin/env bash
# The mean of the log posteriors of systems beside DIR: --what A+B; --what A+ is the ensemble of the runs of A;
# --what A+B:folds and A+B:inner fit the weights of each fold on the others (fuse-scores --weights).
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

systems=() weights=()
[[ $what != *:* ]] || weights=(--weights "${what#*:}")
names=${what%%:*}
for name in ${names//+/ }; do
  systems+=("$(dirname "$dir")/$name")
  need "${systems[-1]}" "name $name before the fusion in --systems"
done
fuse-scores "${weights[@]}" "$folds" "${systems[@]}" "$dir"
