#!/usr/bin/env bash
# Logistic regression on the statistics (mean, deviation) of stages 3 and 4 of the speaker network --init, over whole
# segments.
# Settings: linear.conf linear.grid
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

$train_cmd --num-threads "$num_threads" "$dir/log/embed.log" \
  embed-segments --at stage3,stage4 "${compute[@]}" \
    "$init" "scp:$data/feats.scp" "ark,scp:$dir/stats.ark,$dir/stats.scp"
linear_heads "$dir/stats.scp"
