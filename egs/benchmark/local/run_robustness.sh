#!/usr/bin/env bash
# What perturbed test audio costs: systems that were trained on clean audio, tested on perturbed copies of their test folds;
# the differences with their intervals over speakers.
#
# usage: local/run_robustness.sh --corpora "NAME …" --systems "NAME …" [options]
# e.g.: ./run.sh --emodb /corpora/emodb --systems "opensmile-compare level"
#       local/run_robustness.sh --corpora emodb --systems "opensmile-compare level"
#
#   --corpora "NAME …"   corpora of run.sh
#   --systems "NAME …"   systems of run.sh, after its stage 4; of a fusion, its parts before it
#   --conditions "noise20 noise10 noise0 telephone reverb quiet clipped"
#                        pink noise at 20, 10, 0 dB; 300 to 3400 Hz and G.711; a synthetic room (RT60 0.6 s); 20 dB quieter;
#                        the loudest 10 % of samples clipped
#   --init MODEL --level-init MODEL --conf DIR --against opensmile-compare
#                        as given to run.sh
#   --work DIR           of run.sh; writes data/robustness and exp/CORPUS/robustness there [this recipe]
#   --stage 1 --stop-stage 4
#     1 perturbed data folders, features  2 predictions  3 tables  4 reports
#   --nj 4 --num-threads 1 --device cpu|cuda|cuda:N --seed 0
#   --config FILE        lines of --name=value with any of these
#
# Each copy and its original are paired. Results: exp/CORPUS/robustness/RESULTS, exp/CORPUS/robustness/SYSTEM.json, and a
# section of the corpus's report.
set -euo pipefail
recipe=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=../path.sh
. "$recipe/path.sh"
# shellcheck source=../cmd.sh
. "$recipe/cmd.sh"

corpora='' systems='' conditions='noise20 noise10 noise0 telephone reverb quiet clipped' init='' level_init='' conf='' work=''
stage=1 stop_stage=4 stamp='' nj=4 num_threads=1 device='' seed=0 against=opensmile-compare
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "unexpected argument '$1' (see run_robustness.sh --help)"
[ -n "$corpora" ] && [ -n "$systems" ] || die "give --corpora and --systems (see run_robustness.sh --help)"
absolute init level_init conf work
cd "$recipe"
# shellcheck source=systems.sh
. local/systems.sh
work=${work:-.} conf=${conf:-conf}
check_systems "$systems"
for system in $systems; do
  [[ $system != *=scp:* ]] || die "${system%%=*} is of vectors, which cannot be made of perturbed audio"
  [[ $system != *+*:* ]] || die "${system%%=*}: fitted weights are not carried to perturbed audio; fuse without '${system##*:}'"
done
need_settings 2 "$systems"
need_results

# perturbation_of CONDITION: the options of perturb-data.
perturbation_of() {
  case $1 in
    noise[0-9]*) echo --noise pink --snr "${1#noise}" ;;
    telephone) echo --codec telephone ;;
    reverb) echo --rir synthetic --rt60 0.6 --drr 0 ;;
    quiet) echo --level -20 ;;
    clipped) echo --clip 10 ;;
    *) die "there is no condition '$1' (noise20, noise10, …, telephone, reverb, quiet, clipped)" ;;
  esac
}

# name_of CONDITION: its name in tables.
name_of() {
  case $1 in
    noise*) echo "noise, ${1#noise} dB" ;;
    reverb) echo reverberation ;;
    quiet) echo "20 dB quieter" ;;
    clipped) echo clipping ;;
    *) echo "$1" ;;
  esac
}

conditions_of() {
  local condition
  pairs=("clean=$work/exp/$1/$2")
  for condition in $conditions; do
    pairs+=("$(name_of "$condition")=$work/exp/$1/robustness/$condition/$2")
  done
}

if at_stage 1 "perturbed data folders and features"; then
  for corpus in $corpora; do
    for condition in $conditions; do
      data=$work/data/robustness/$corpus/$condition
      options=$(perturbation_of "$condition")
      read -ra options <<<"$options"
      perturb-data "${options[@]}" --seed "$seed" --keep-ids true "$work/data/$corpus" "$data"
      if needs_features "$systems"; then
        make_feats.sh --cmd "$feats_cmd" --nj "$nj" --config "$work/exp/fbank.conf" "$data"
      fi
    done
  done
fi

if at_stage 2 "predictions by the systems that were trained on clean audio"; then
  for corpus in $corpora; do
    for condition in $conditions; do
      to=$work/exp/$corpus/robustness/$condition
      for system in $systems; do
        echo "-- $corpus: ${system%%=*}, $condition"
        test_system "$system" "$work/data/robustness/$corpus/$condition" "$work/exp/$corpus" "$to"
        score_system "$work/exp/$corpus/folds" "$to/${system%%=*}"
      done
    done
  done
fi

if at_stage 3 "tables"; then
  compare_conditions robustness
fi

if at_stage 4 "reports with figures"; then
  write_reports
fi
