#!/usr/bin/env bash
# The network trained from scratch in each fold.
# Settings: scratch.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

network_folds "$data/feats.scp" scratch
