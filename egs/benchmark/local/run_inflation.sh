#!/usr/bin/env bash
# What a protocol is worth: the same systems with speakers held apart, with all speakers in training and test, and with the
# epoch chosen on the test; the differences with their intervals over speakers.
#
# usage: local/run_inflation.sh --corpora "NAME …" [--systems "NAME …"] [options]
# e.g.: ./run.sh --cremad /corpora/CREMA-D --systems "opensmile-egemaps level"
#       local/run_inflation.sh --corpora cremad --systems "opensmile-egemaps level"
#
#   --corpora "NAME …"   corpora of run.sh
#   --systems "NAME …"   systems of run.sh, after its stage 4 [opensmile-egemaps]
#   --init MODEL --level-init MODEL --conf DIR --repeats 1 --seed 0 --against opensmile-compare
#                        as given to run.sh
#   --work DIR           of run.sh; writes exp/CORPUS/inflation there [this recipe]
#   --stage 1 --stop-stage 4
#     1 stratified folds, as many as the corpus has  2 systems in them, and with the epoch chosen on the test  3 tables
#     4 reports
#   --nj 4 --num-threads 1 --device cpu|cuda|cuda:N
#   --config FILE        lines of --name=value with any of these
#
# "Speakers apart" are the results of run.sh. The epoch is selected on the test (--select oracle) for networks that
# train-resnet trains in each fold, in both kinds of folds. Stamps stay: SPEAKER-DEPENDENT, LEAKY.
# Never report these figures as results.
# Results: exp/CORPUS/inflation/RESULTS, exp/CORPUS/inflation/SYSTEM.json, and a section of the corpus's report.
set -euo pipefail
recipe=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=../path.sh
. "$recipe/path.sh"
# shellcheck source=../cmd.sh
. "$recipe/cmd.sh"

corpora='' systems=opensmile-egemaps init='' level_init='' conf='' repeats=1 work='' stage=1 stop_stage=4 stamp='' nj=4 num_threads=1
device='' seed=0 against=opensmile-compare
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "unexpected argument '$1' (see run_inflation.sh --help)"
[ -n "$corpora" ] || die "no corpus: give --corpora (see run_inflation.sh --help)"
absolute init level_init conf work
here=$PWD
cd "$recipe"
# shellcheck source=systems.sh
. local/systems.sh
work=${work:-.} conf=${conf:-conf}
absolute_vectors "$here"
check_systems "$systems"
need_settings 2 "$systems"
seeds=$(seeds_of "$seed" "$repeats")
need_results

# chosen_on_test SYSTEM: whether its epoch can be selected on the test: networks that train-resnet trains.
chosen_on_test() { is_seeded "$1" && [[ $1 != *frozen* ]]; }

conditions_of() {
  local apart=$work/exp/$1 out=$work/exp/$1/inflation
  pairs=("speakers apart=$apart/$2" "speakers shared=$out/shared/$2")
  if chosen_on_test "$2"; then
    pairs+=("apart, epoch selected on the test=$out/apart-oracle/$2")
    pairs+=("shared, epoch selected on the test=$out/shared-oracle/$2")
  fi
}

if at_stage 1 "folds that share the speakers"; then
  for corpus in $corpora; do
    map=() out=$work/exp/$corpus/inflation
    [ "$corpus" != emodb ] || map=(--label-map ../emodb/conf/labels.exp1)
    make-folds --scheme stratified --num-folds "$(count_folds "$work/exp/$corpus/folds")" "${map[@]}" \
      "$work/data/$corpus" "$out/shared/folds"
    for pair in apart:"$work/exp/$corpus" shared:"$out/shared"; do
      rm -rf "$out/${pair%%:*}-oracle/folds"
      mkdir -p "$out/${pair%%:*}-oracle"
      cp -r "${pair#*:}/folds" "$out/${pair%%:*}-oracle/folds"
    done
  done
fi

if at_stage 2 "systems"; then
  oracle=$work/exp/conf.oracle
  rm -rf "$oracle"
  cp -r "$conf" "$oracle"
  for name in scratch finetune level level.finetune; do
    [ ! -e "$oracle/$name.conf" ] || echo "--select=oracle" >>"$oracle/$name.conf"
  done
  for corpus in $corpora; do
    out=$work/exp/$corpus/inflation
    for system in $systems; do
      echo "-- $corpus: ${system%%=*}"
      train_system "$system" "$work/data/$corpus" "$out/shared"
      score_system "$out/shared/folds" "$out/shared/${system%%=*}"
      chosen_on_test "$system" || continue
      for folds in apart shared; do
        conf=$oracle train_system "$system" "$work/data/$corpus" "$out/$folds-oracle"
        score_system "$out/$folds-oracle/folds" "$out/$folds-oracle/$system"
      done
    done
  done
fi

if at_stage 3 "tables"; then
  compare_conditions inflation
fi

if at_stage 4 "reports with figures"; then
  write_reports
fi
