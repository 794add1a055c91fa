#!/usr/bin/env bash
# Attentive statistics pooling and a head for each fold, on the maps of the frozen trunk of the speaker network --init.
# Settings: attentive.draws.conf attentive.head.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

frozen_heads "$init" "$data/feats.scp" "$conf/attentive."
predict_folds "scp:$data/feats.scp"
