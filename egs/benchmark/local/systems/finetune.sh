#!/usr/bin/env bash
# The speaker network --init, fine-tuned in each fold.
# Settings: finetune.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

network_folds "$data/feats.scp" finetune --init "$init"
