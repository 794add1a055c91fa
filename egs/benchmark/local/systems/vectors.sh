#!/usr/bin/env bash
# Logistic regression on any table of vectors, --what scp:FILE. CORPUS in FILE stands for the name of the data folder, or
# for each of the two names in ONE-OTHER.
# Settings: linear.conf linear.grid
# Options and files: local/system.sh.
set -euo pipefail
. "$(dirname "$0")/../system.sh"

corpora=$(basename "$data")
for corpus in ${corpora//-/ }; do
  script=${what#scp:} prefix=
  [[ $corpora != *-* ]] || prefix=$corpus- # as in the ids of a pair of corpora
  sed "s/^/$prefix/" "${script//CORPUS/$corpus}"
done | sort -u >"$dir/vectors.scp"
linear_heads "$dir/vectors.scp"
