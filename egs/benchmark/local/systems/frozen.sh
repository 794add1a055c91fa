#!/usr/bin/env bash
# The paper: a head for each fold on the frozen trunk of the speaker network --init.
# Settings: draws.conf head.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

frozen_heads "$init" "$data/feats.scp" "$conf/"
predict_folds "scp:$data/feats.scp"
