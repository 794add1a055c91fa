#!/usr/bin/env bash
# A small network from scratch on features that keep level and spectrum: log-mels normalised by the statistics of the
# training segments, not of each segment.
# Settings: level.conf level.fbank.conf
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"
. "$(dirname "$0")/../level.sh"

level_feats
network_folds "$data/level/feats.scp" level
