#!/usr/bin/env bash
# What perturbed test audio costs: networks trained on clean audio, tested on perturbed copies of their test folds; the
# differences with their intervals over speakers.
#
# usage: local/run_robustness.sh --corpora "NAME …" --systems "NAME …" [options]
# e.g.: ./run.sh --emodb /corpora/emodb --systems "level frozen" --init speaker.pt
#       local/run_robustness.sh --corpora emodb --systems "level frozen"
#
#   --corpora "NAME …"   corpora of run.sh
#   --systems "NAME …"   networks of run.sh, after its stage 4: frozen, frozen-attentive, scratch,
#                        finetune, level
#   --conditions "noise20 noise10 noise0 telephone reverb quiet clipped"
#                        pink noise at 20, 10, 0 dB; 300 to 3400 Hz and G.711; a synthetic room (T60 0.6 s); 20 dB quieter;
#                        the loudest 10 % of samples clipped
#   --init MODEL --conf DIR
#                        as given to run.sh
#   --work DIR           of run.sh; writes data/robustness and exp/robustness there [this recipe]
#   --stage 1 --stop-stage 3
#     1 perturbed data folders, features  2 predictions  3 tables
#   --nj 4 --num-threads 1 --device cpu|cuda|cuda:N --seed 0
#   --config FILE        lines of --name=value with any of these
#
# Each copy and its original are paired; so are the networks. Results: exp/robustness/RESULTS,
# exp/robustness/CORPUS/SYSTEM.json
set -euo pipefail
recipe=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=../path.sh
. "$recipe/path.sh"
# shellcheck source=../cmd.sh
. "$recipe/cmd.sh"

corpora='' systems='' conditions='noise20 noise10 noise0 telephone reverb quiet clipped' init='' conf='' work=''
stage=1 stop_stage=3 stamp='' nj=4 num_threads=1 device='' seed=0
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "unexpected argument '$1' (see run_robustness.sh --help)"
[ -n "$corpora" ] && [ -n "$systems" ] || die "give --corpora and --systems (see run_robustness.sh --help)"
for name in init conf work; do
  [ -z "${!name}" ] || printf -v "$name" '%s' "$(realpath -ms -- "${!name}")"
done
cd "$recipe"
# shellcheck source=systems.sh
. local/systems.sh
# shellcheck source=level.sh
. local/level.sh
work=${work:-.} conf=${conf:-conf}
out=$work/exp/robustness
for system in $systems; do
  case $system in
    frozen | frozen-attentive | scratch | finetune | level) ;;
    *) die "$system: only frozen, frozen-attentive, scratch, finetune and level are tested on perturbed audio" ;;
  esac
  for corpus in $corpora; do
    need "$work/exp/$corpus/$system/results.json" "run.sh --systems $system makes it"
  done
done

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
      if [[ " $systems " == *" level "* ]]; then
        make_level_feats "$data" "$conf"
      fi
    done
  done
fi

if at_stage 2 "predictions by the networks that were trained on clean audio"; then
  for corpus in $corpora; do
    folds=$work/exp/$corpus/folds
    for system in $systems; do
      runs=("$work/exp/$corpus/$system"/seed*/)
      [ -d "${runs[0]}" ] || runs=("$work/exp/$corpus/$system/")
      for condition in $conditions; do
        echo "-- $corpus: $system, $condition"
        feats=$work/data/robustness/$corpus/$condition/feats.scp dir=$out/$corpus/$system/$condition
        [ "$system" != level ] || feats=$(dirname "$feats")/level/feats.scp
        for run in "${runs[@]%/}"; do
          to=$dir${run#"$work/exp/$corpus/$system"}
          predict_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" --to "$to" \
            "scp:$feats" "$folds" "$run"
        done
        score_system "$folds" "$dir"
      done
    done
  done
fi

if at_stage 3 "tables"; then
  for corpus in $corpora; do
    for system in $systems; do
      folders=("clean=$work/exp/$corpus/$system")
      for condition in $conditions; do folders+=("$condition=$out/$corpus/$system/$condition"); done
      local/differences.py --title "$corpus, $system" --json "$out/$corpus/$system.json" \
        "$work/exp/$corpus/folds" "${folders[@]}"
      echo
    done
  done | tee "$out/RESULTS.tmp"
  mv "$out/RESULTS.tmp" "$out/RESULTS"
fi
