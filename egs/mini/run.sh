#!/usr/bin/env bash
# Both real recipes on SIMULATED speech at toy size: speakers, then emotions with and without transfer, to a table.
#
# usage: ./run.sh [options]
# e.g.: ./run.sh
#       ./run.sh --stage 3 --exp 3
#
#   --stage 1 --stop-stage 4
#     1 simulate the corpora  2 ../voxceleb/run.sh  3 ../iemocap/run.sh  4 the table
#   --perturb true       train the speaker network on perturbed copies too: four times the data [false]
#   --exp "1 2 3"        which of the paper's experiments
#   --corpus DIR         where the simulated corpora are written [corpus]
#   --work DIR           where the recipes' data/ and exp/ are written [exp]
#   --nj 2 --device cpu|cuda|cuda:N --seed 0 --repeats 1
#                        feature jobs, device; the simulated corpora depend on the seed too; training runs of stage 3,
#                        with the seeds 0, 1, …
#   --config FILE        lines of --name=value with any of these
#
# The recipes run unchanged, with the settings of conf/ (a toy network, few epochs). Results: exp/RESULTS.
# The grid of Fig. 4 (with and without transfer, masks and pooling): local/run_ablation.sh, after stage 3.
set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$(dirname "$0")/cmd.sh"

corpus='' work='' exp='1 2 3' stage=1 stop_stage=4 stamp=SIMULATED nj=2 device='' seed=0 repeats=1 perturb=false
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "unexpected argument '$1' (see run.sh --help)"
enter_recipe corpus work
corpus=${corpus:-$PWD/corpus} work=${work:-$PWD/exp}
egs=$SERTK_ROOT/egs
for n in $exp; do need "$egs/iemocap/conf/labels.exp$n" "--exp: there is no experiment $n"; done
shared=(--simulated true --stamp SIMULATED --fbank-conf "$PWD/conf/fbank.conf" --nj "$nj" --seed "$seed"
  ${device:+--device "$device"})
speakers=(--speaker-conf "$PWD/conf/speaker.conf" --large-margin-conf "$PWD/conf/large-margin.conf"
  --trials "O,E,H" --trials-conf "$PWD/conf/trials.conf" --cohort-per-speaker 3 --calibration-speakers 8)
if [ "$perturb" = true ]; then speakers+=(--perturb-conf "$PWD/conf/perturb.conf"); else speakers+=(--perturb-conf=); fi

if at_stage 1 "simulated speech of speakers and emotions"; then
  local/simulate_speech.py --seed "$seed" "$corpus"
fi
need "$corpus/SIMULATED" "stage 1 makes it"

if at_stage 2 "speaker network: ../voxceleb/run.sh"; then
  "$egs/voxceleb/run.sh" "${shared[@]}" --voxceleb1 "$corpus/voxceleb1" --work "$work/voxceleb" \
    "${speakers[@]}"
fi

if at_stage 3 "emotions with and without transfer: ../iemocap/run.sh"; then
  "$egs/iemocap/run.sh" "${shared[@]}" --corpus "$corpus/IEMOCAP" --work "$work/iemocap" --exp "$exp" \
    --init "$work/voxceleb/exp/resnet34/final.pt" --draws-conf "$PWD/conf/draws.conf" \
    --head-conf "$PWD/conf/head.conf" --scratch true --scratch-conf "$PWD/conf/scratch.conf" \
    --repeats "$repeats"
fi

if at_stage 4 "table"; then
  keep_as "$work/RESULTS" local/print_table.py "$work"
fi
