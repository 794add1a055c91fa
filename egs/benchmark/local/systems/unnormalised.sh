#!/usr/bin/env bash
# The network of the level system on log-mels as they are, without any normalisation.
# Settings: level.conf level.fbank.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

level_feats
network_folds "$data/level/feats.scp" level --input-norm false
