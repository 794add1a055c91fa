#!/usr/bin/env bash
# Any corpora and any systems in one table: the same folds, intervals over speakers, paired tests.
#
# usage: ./run.sh [--emodb DIR] [--ravdess DIR] [--cremad DIR] [--manifest "NAME=FILE …"] [options]
# e.g.: ./run.sh --emodb /corpora/emodb --systems opensmile-egemaps --against opensmile-egemaps
#       ./run.sh --ravdess /corpora/RAVDESS --manifest "mine=/corpora/mine.csv" --init MODEL.pt \
#         --systems "opensmile-compare frozen fusion=opensmile-compare+frozen"
#
#   --emodb DIR --emodb7 DIR --ravdess DIR --cremad DIR
#                        the corpora as distributed; emodb has IEMOCAP's four classes, emodb7 all seven
#   --manifest "NAME=FILE …"
#                        other corpora, by tables of their files (prepare-manifest --help), or data folders
#   --systems "NAME …"   what is trained in the folds of each corpus [opensmile-egemaps opensmile-compare]:
#     opensmile-egemaps opensmile-compare   openSMILE's functionals, linear SVM; C chosen within the training folds
#     resemblyzer                           vectors of a speaker encoder of VoxCeleb, logistic regression
#     frozen                                the paper: a head on the frozen trunk of --init
#     frozen-stats                          logistic regression on statistics of its stages 3 and 4, whole segments
#     frozen-aux                            the paper, with what normalisation removes as a further input of the head
#     frozen-attentive                      attentive pooling and a head, trained on its maps
#     scratch finetune                      the network trained from scratch; the network of --init fine-tuned
#     level                                 small network from scratch, features not normalised per segment
#     level-perturbed                       level, trained also on perturbed copies of the training segments
#     segment-mean speaker-norm             level without each segment's mean; normalised by speaker (TRANSDUCTIVE)
#     unnormalised                          level without any normalisation
#     level-frozen level-finetune           a head on the frozen network of --level-init; that network fine-tuned
#     NAME=scp:FILE                         logistic regression on any vectors; CORPUS in FILE stands for the corpus
#     …-speaker                             opensmile-*, resemblyzer, frozen-stats or NAME=scp:FILE, NAME ending so, on vectors
#                                           less the mean of their speaker (TRANSDUCTIVE)
#     NAME=A+B                              the mean of systems A and B; NAME=A+ the ensemble of the runs of A
#     NAME=A+B:folds NAME=A+B:inner         with weights fitted on the training folds (fuse-scores --weights)
#   --init MODEL         speaker network, for frozen* and finetune
#   --level-init MODEL   speaker network on the features of level, for level-frozen and level-finetune (cell level of
#                        ../emodb/local/run_speakers.sh)
#   --against SYSTEM     system that the others are tested against [opensmile-compare]
#   --repeats 1          training runs of systems that train a network, with seeds --seed, --seed + 1, …
#   --cross false        also train on each corpus and test on each other, on the labels that both have
#   --num-folds 5        groups of speakers, for corpora without sessions or splits of their own
#   --work DIR           where data/ and exp/ are written [this folder]
#   --stage 1 --stop-stage 7
#     1 data folders  2 features  3 folds  4 systems  5 table  6 reports with figures  7 cross-corpus
#   --allow-partial true continue with incomplete corpora; results are stamped PARTIAL
#   --conf DIR           settings of all systems [conf]
#   --nj 4 --num-threads 1 --device cpu|cuda|cuda:N --seed 0
#   --config FILE        lines of --name=value with any of these
#
# Results: exp/CORPUS/SYSTEM/{RESULTS,results.json}, all in exp/RESULTS and exp/results.json, tests in
# exp/CORPUS/COMPARE, reports in exp/CORPUS/report/report.html, cross-corpus in exp/cross/RESULTS.
# A new system is a script local/systems/NAME.sh that writes DIR/FOLD/scores.ark (see local/systems/frozen.sh).
set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$(dirname "$0")/cmd.sh"

emodb='' emodb7='' ravdess='' cremad='' manifest='' systems='opensmile-egemaps opensmile-compare' init='' level_init=''
against=opensmile-compare repeats=1 cross=false num_folds=5 work='' conf=''
stage=1 stop_stage=7 stamp='' allow_partial=false nj=4 num_threads=1 device='' seed=0
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "unexpected argument '$1' (see run.sh --help)"
here=$PWD
enter_recipe emodb emodb7 ravdess cremad init level_init conf work
. local/systems.sh
work=${work:-.} conf=${conf:-conf}
corpora=''
for name in emodb emodb7 ravdess cremad; do
  [ -z "${!name}" ] || corpora+=" $name"
done
mapfile -t tables < <(pairs_of "$manifest")
for pair in "${tables[@]}"; do
  [[ $pair =~ ^[A-Za-z0-9_]+=. ]] || die "--manifest takes NAME=FILE pairs, not '$pair'"
  corpora+=" ${pair%%=*}"
done
[ -n "$corpora" ] || die "no corpus (see run.sh --help)"
check_corpora "$corpora"
absolute_vectors "$here"
check_systems "$systems" "$work/exp"
need_settings 4 "$systems"
[ "$cross" = false ] || need_settings 7 "$systems"
seeds=$(seeds_of "$seed" "$repeats")

if at_stage 1 "data folders"; then
  partial=(--allow-partial "$allow_partial")
  [ -z "$emodb" ] || ../emodb/local/prepare_emodb.py "${partial[@]}" "$emodb" "$work/data/emodb"
  [ -z "$emodb7" ] || ../emodb/local/prepare_emodb.py --whole true "${partial[@]}" "$emodb7" "$work/data/emodb7"
  [ -z "$ravdess" ] || local/prepare_ravdess.py "${partial[@]}" "$ravdess" "$work/data/ravdess"
  [ -z "$cremad" ] || local/prepare_cremad.py "${partial[@]}" "$cremad" "$work/data/cremad"
  for pair in "${tables[@]}"; do
    source=$(cd "$here" && realpath -ms -- "${pair#*=}") data=$work/data/${pair%%=*}
    if [ ! -d "$source" ]; then
      prepare-manifest "${partial[@]}" "$source" "$data"
    elif [ ! "$source" -ef "$data" ]; then
      combine-data "$data" "$source"
    fi
  done
  for corpus in $corpora; do
    validate-data "$work/data/$corpus"
  done
fi

# The corpora have different sample rates.
feats_conf() { cat "$(fbank_conf_of "$init")"; echo "--allow-resample=true"; }

if at_stage 2 "features" && needs_features "$systems"; then
  mkdir -p "$work/exp"
  feats_conf >"$work/exp/fbank.conf"
  for corpus in $corpora; do
    make_feats.sh --cmd "$feats_cmd" --nj "$nj" --config "$work/exp/fbank.conf" "$work/data/$corpus"
  done
fi
if needs_features "$systems"; then
  if [ "$cross" = true ]; then last=7; else last=4; fi # stage that reads features
  for corpus in $corpora; do
    check_feats 3 "$last" <(feats_conf) "$work/data/$corpus"
    ! { runs_stage 4 || runs_stage "$last"; } || need "$work/data/$corpus/feats.scp" "stage 2 makes it"
  done
fi

if at_stage 3 "folds: the corpus's own splits, its sessions, or groups of speakers"; then
  for corpus in $corpora; do
    data=$work/data/$corpus
    if [ -e "$data/utt2split" ]; then
      scheme=(--scheme given)
    elif [ -e "$data/utt2session" ]; then
      scheme=(--scheme loso)
    else
      scheme=(--scheme speaker --num-folds "$num_folds")
    fi
    [ "$corpus" != emodb ] || scheme+=(--label-map ../emodb/conf/labels.exp1)
    make-folds "${scheme[@]}" "$data" "$work/exp/$corpus/folds"
  done
fi

if at_stage 4 "systems"; then
  for corpus in $corpora; do
    for system in $systems; do
      echo "-- $corpus: ${system%%=*}"
      train_system "$system" "$work/data/$corpus" "$work/exp/$corpus"
      score_system "$work/exp/$corpus/folds" "$work/exp/$corpus/${system%%=*}" --data "$work/data/$corpus"
    done
  done
fi

if at_stage 5 "table"; then
  # shellcheck disable=SC2086  # words
  keep_as "$work/exp/RESULTS" local/table.py --against "$against" --json "$work/exp/results.json" "$work/exp" $corpora
fi

if at_stage 6 "reports with figures"; then
  write_reports
fi

if [ "$cross" = true ] && at_stage 7 "trained on one corpus, tested on another"; then
  for one in $corpora; do
    for other in $corpora; do
      [[ $one < $other ]] || continue
      pair=$one-$other
      data=$work/data/cross/$pair dir=$work/exp/cross/$pair
      share_labels "$work" "$one" "$other" || continue
      combine_pair "$work" "$one" "$other" "$data"
      make-folds --scheme given "$data" "$dir/folds"
      for system in $systems; do
        echo "-- $pair: ${system%%=*}"
        train_system "$system" "$data" "$dir"
        score_directions "$dir" "${system%%=*}" "$one" "$other"
      done
    done
  done
  # shellcheck disable=SC2086
  keep_as "$work/exp/cross/RESULTS" local/cross_table.py --json "$work/exp/cross/results.json" "$work/exp/cross"
fi
