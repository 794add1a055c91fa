#!/usr/bin/env bash
# The network of --level-init, a speaker network on features that keep level and spectrum, fine-tuned in each fold.
# Settings: level.fbank.conf level.finetune.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

level_feats
network_folds "$data/level/feats.scp" level.finetune --init "$level_init"
