#!/usr/bin/env bash
# Scores one cell of an ablation grid (all of its folds) and describes it for the report's Fig. 4.
#
# usage: score_cell.sh --experiment NAME --cell START-MASKS-POOLING [--seed 0]
#                      [--clusters FILE] [--num-threads 1] [--device D] FEATS-SCP FOLD-DIR DIR
# e.g.: score_cell.sh --experiment exp1 --cell transfer-plain-pooled data/all/feats.scp exp/ablation/folds/exp1/0 \
#         exp/ablation/exp1/transfer-plain-pooled/0
#
# Writes the files of score_folds.sh, fold by fold, and DIR/cell.json.
set -euo pipefail

experiment='' cell='' seed=0 clusters='' num_threads=1 device=''
. sertk_options.sh
. recipe.sh
[ $# -eq 3 ] && [ -n "$experiment" ] && [ -n "$cell" ] || { "$0" --help >&2; exit 2; }

rm -f "$3/cell.json"
score_folds.sh --cmd "run-local --max-jobs-run 1" --clusters "$clusters" --num-threads "$num_threads" \
  --device "$device" "$@"
transfer=false masks=false pooling=false
[[ $cell != transfer-* ]] || transfer=true
[[ $cell != *-masks-* ]] || masks=true
[[ $cell != *-pooled ]] || pooling=true
printf '{"experiment": "%s", "transfer": %s, "masks": %s, "pooling": %s, "seed": %d}\n' \
  "$experiment" "$transfer" "$masks" "$pooling" "$seed" >"$3/cell.json"
