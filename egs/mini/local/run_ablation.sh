#!/usr/bin/env bash
# The ablation of the paper's Fig. 4 at toy size on SIMULATED speech, after run.sh. Settings: conf/ablation.conf.
#
# usage: local/run_ablation.sh [--work exp/iemocap] [--init MODEL] [options of run_ablation.sh: see --help]
set -euo pipefail
recipe=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=../path.sh
. "$recipe/path.sh"
# shellcheck source=../cmd.sh
. "$recipe/cmd.sh"
exec run_ablation.sh --recipe "$recipe" --work "$recipe/exp/iemocap" \
  --init "$recipe/exp/voxceleb/exp/resnet34/final.pt" --config "$recipe/conf/ablation.conf" "$@"
