#!/usr/bin/env bash
# Attentive statistics pooling and a head on the maps of the frozen trunk of the speaker network --init.
# Settings: attentive.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

network_folds "$data/feats.scp" attentive --init "$init"
