#!/usr/bin/env bash
# A head for each fold on the frozen trunk of --level-init, a speaker network on features that keep level and spectrum.
# Settings: level.draws.conf level.fbank.conf level.head.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

level_feats
frozen_heads "$level_init" "$data/level/feats.scp" "$conf/level."
predict_folds "scp:$data/level/feats.scp"
