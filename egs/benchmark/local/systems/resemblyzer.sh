#!/usr/bin/env bash
# Logistic regression on the vectors of Resemblyzer's speaker encoder, of VoxCeleb.
# Settings: linear.conf linear.grid
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

options=(--num-threads "$num_threads")
[ ! -e "$data/segments" ] || options+=(--segments "$data/segments")
[ ! -e "$data/utt2perturb" ] || options+=(--utt2perturb "$data/utt2perturb")
$train_cmd --num-threads "$num_threads" "$dir/log/vectors.log" \
  "$(dirname "$0")/../resemblyzer_vectors.py" "${options[@]}" \
    "scp:$data/wav.scp" "ark,scp:$dir/vectors.ark,$dir/vectors.scp"
linear_heads "$dir/vectors.scp"
