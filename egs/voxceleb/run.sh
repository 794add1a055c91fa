#!/usr/bin/env bash
# Speaker network of 7205 speakers, trained on VoxCeleb1 and VoxCeleb2; its equal error rates on VoxCeleb1-O, -E, -H.
#
# usage: ./run.sh [--voxceleb1 DIR] [--voxceleb2 DIR] [options]
# e.g.: ./run.sh --voxceleb1 /corpora/voxceleb1 --voxceleb2 /corpora/voxceleb2 --num-gpus 4
#       ./run.sh --voxceleb1 /corpora/voxceleb1 --voxceleb2 /corpora/voxceleb2 --config conf/paper.conf
#
#   --voxceleb1 DIR      holds dev/wav and test/wav, or all in wav; without it no trials are scored
#   --voxceleb2 DIR      holds dev/aac (m4a, read through ffmpeg), or dev/wav
#   --trials O,E,H       VoxCeleb1's trial lists (cleaned; or O-original, …), found in its folder; or a list's file [O]
#                        E and H take all speakers of VoxCeleb1 out of the training
#   --perturb-conf FILE  train on perturbed copies too: settings of perturb-data [conf/perturb.conf]; with '' none
#   --musan DIR --rirs DIR
#                        MUSAN and RIRS_NOISES for the copies; without them noise and rooms are synthetic, and babble is
#                        of the training speakers
#   --work DIR           where data/ and exp/ are written [this folder]
#   --stage 1 --stop-stage 5
#     1 data folders  2 features  3 training, large-margin fine-tuning  4 embeddings
#     5 equal error rates, plain and AS-Norm; with calibration also Cllr, by the scores alone and with qualities
#   --allow-partial true continue with incomplete corpora; results are stamped PARTIAL
#   --simulated true     the corpus is simulated; results are stamped SIMULATED
#   --speaker-conf FILE --fbank-conf FILE --trials-conf FILE
#                        settings of train-resnet [conf/margin.conf], make-fbank and score-trials
#   --large-margin-conf FILE
#                        fine-tune the network with these settings, and score that one [conf/large-margin.conf]; with '' none
#   --cohort-per-speaker 10
#                        recordings of each training speaker for AS-Norm; 0: no AS-Norm
#   --calibration-speakers 0
#                        take so many speakers out of the training, and calibrate the scores on trials of them
#   --num-gpus 1         training processes, one per GPU, that share every batch
#   --nj 32 --device cpu|cuda|cuda:N --seed 0
#                        feature jobs, device
#   --config FILE        lines of --name=value with any of these; conf/paper.conf is the paper's training
#
# Results: exp/resnet34/final.pt; fine-tuned, with the scores: exp/resnet34_lm/{final.pt,RESULTS} and, of each list,
# exp/resnet34_lm/trials/{O,O_asnorm,O_calibrated,O_quality}.{json,scores}, O_asnorm.png
set -euo pipefail
. "$(dirname "$0")/path.sh"
. "$(dirname "$0")/cmd.sh"

voxceleb1='' voxceleb2='' trials=O work='' perturb_conf=conf/perturb.conf musan='' rirs='' stage=1 stop_stage=5 stamp=''
allow_partial=false simulated=false num_gpus=1 nj=32 device='' seed=0 cohort_per_speaker=10
calibration_speakers=0
fbank_conf=$SERTK_ROOT/egs/common/conf/fbank.conf speaker_conf=conf/margin.conf trials_conf=conf/trials.conf
large_margin_conf=conf/large-margin.conf
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "unexpected argument '$1' (see run.sh --help)"
[ ! -e "$trials" ] || trials=$(realpath -s -- "$trials")
enter_recipe voxceleb1 voxceleb2 work musan rirs
work=${work:-.}
need_for 1 --perturb-conf "$perturb_conf"
need_for 2 --fbank-conf "$fbank_conf"
need_for 3 --speaker-conf "$speaker_conf"
need_for 3 --large-margin-conf "$large_margin_conf"
need_for 5 --trials-conf "$trials_conf"
train=$work/data/train test=$work/data/test cohort=$work/data/cohort calibration=$work/data/calibration dir=$work/exp/resnet34
[ -z "$perturb_conf" ] || train=$work/data/train_perturbed
compute=(${device:+--device "$device"})
ranks=()
[ "$num_gpus" -le 1 ] || ranks=(run-ranks "$num_gpus")

if at_stage 1 "data folders for training and for the trials, perturbed copies"; then
  local/prepare_voxceleb.py ${voxceleb1:+--voxceleb1 "$voxceleb1"} ${voxceleb2:+--voxceleb2 "$voxceleb2"} \
    --trials "$trials" --calibration-speakers "$calibration_speakers" \
    --allow-partial "$allow_partial" --simulated "$simulated" "$work/data"
  if [ "$calibration_speakers" -gt 0 ]; then
    subset-data --per-spk "$work/data/held_out" 20 "$calibration"
    make-trials --seed "$seed" --apart "$calibration/utt2session" "$calibration" "$calibration/trials"
  fi
  if [ -n "$perturb_conf" ]; then
    sounds=(--noise synthetic --babble own) rooms=synthetic
    if [ -n "$musan" ]; then
      local/prepare_musan.py --allow-partial "$allow_partial" "$musan" "$work/data"
      sounds=(--noise "$work/data/musan_noise" --music "$work/data/musan_music" --babble "$work/data/musan_speech")
    fi
    if [ -n "$rirs" ]; then
      rooms=$work/data/rirs
      local/prepare_rirs.py --allow-partial "$allow_partial" "$rirs" "$rooms"
    fi
    perturb-data --config "$perturb_conf" --seed "$seed" "${sounds[@]}" --rir "$rooms" "$work/data/train" "$train"
  fi
  validate-data "$train"
fi

sets=("$train")
[ ! -e "$test" ] || sets+=("$test")
[ "$calibration_speakers" -eq 0 ] || sets+=("$calibration")
if at_stage 2 "features"; then
  for set in "${sets[@]}"; do
    make_feats.sh --cmd "$feats_cmd" --nj "$nj" --config "$fbank_conf" "$set"
  done
fi
check_feats 3 4 "$fbank_conf" "${sets[@]}"

if at_stage 3 "speaker network, and its fine-tuning with a large margin"; then
  $train_cmd "$dir/log/train.log" "${ranks[@]}" \
    train-resnet --config "$speaker_conf" --seed "$seed" "${compute[@]}" "scp:$train/feats.scp" "$train/utt2spk" "$dir"
  if [ -n "$large_margin_conf" ]; then
    $train_cmd "${dir}_lm/log/train.log" "${ranks[@]}" \
      train-resnet --config "$large_margin_conf" --init "$dir/final.pt" --seed "$seed" "${compute[@]}" \
        "scp:$train/feats.scp" "$train/utt2spk" "${dir}_lm"
  fi
fi
[ -z "$large_margin_conf" ] || dir=${dir}_lm

[ -e "$test" ] || stop_stage=3 # VoxCeleb2 alone has no trials

if at_stage 4 "embeddings of the trials, and of training speakers for AS-Norm"; then
  $train_cmd "$dir/log/embed.log" \
    embed-segments "${compute[@]}" "$dir/final.pt" "scp:$test/feats.scp" "ark,scp:$dir/test.ark,$dir/test.scp"
  if [ "$cohort_per_speaker" -gt 0 ]; then
    subset-data --per-spk "$work/data/train" "$cohort_per_speaker" "$cohort"
    subset-data --utt-list "$cohort/utt2spk" "$train" "$cohort" # which has the features, if it has perturbed copies
    $train_cmd "$dir/log/embed_cohort.log" \
      embed-segments "${compute[@]}" "$dir/final.pt" "scp:$cohort/feats.scp" "ark,scp:$dir/cohort.ark,$dir/cohort.scp"
  fi
  if [ "$calibration_speakers" -gt 0 ]; then
    $train_cmd "$dir/log/embed_calibration.log" \
      embed-segments "${compute[@]}" "$dir/final.pt" "scp:$calibration/feats.scp" \
        "ark,scp:$dir/calibration.ark,$dir/calibration.scp"
  fi
fi

norm=() quality=duration,magnitude
if [ "$cohort_per_speaker" -gt 0 ]; then
  norm=(--mean "scp:$dir/cohort.scp" --cohort "scp:$dir/cohort.scp" --cohort-utt2spk "$cohort/utt2spk") quality+=,cohort
fi
calibrated=(--calibration-trials "$calibration/trials" --calibration-embeddings "scp:$dir/calibration.scp")

# The scores of one list: score NAME [option…], to $dir/trials/NAME.{json,scores}.
score() {
  score-trials --config "$trials_conf" --utt2spk "$test/utt2spk" --json "$dir/trials/$1.json" \
    --scores "$dir/trials/$1.scores" "${@:2}" "$list" "scp:$dir/test.scp" | sed "s/^/$1: /"
}

score_lists() {
  local list name
  for list in "$test"/trials_*; do
    name=${list##*/trials_}
    score "$name"
    [ "$cohort_per_speaker" -eq 0 ] || score "${name}_asnorm" "${norm[@]}" --det "$dir/trials/${name}_asnorm.png"
    if [ "$calibration_speakers" -gt 0 ]; then
      score "${name}_calibrated" "${norm[@]}" "${calibrated[@]}"
      score "${name}_quality" "${norm[@]}" "${calibrated[@]}" --quality "$quality" --utt2dur "$dir/trials/utt2dur"
    fi
  done
}

if at_stage 5 "equal error rates, plain, with AS-Norm and calibrated"; then
  mkdir -p "$dir/trials"
  if [ "$calibration_speakers" -gt 0 ]; then # seconds, from frames of 10 ms
    sort "$test/utt2num_frames" "$calibration/utt2num_frames" | awk '{ print $1, $2 / 100 }' >"$dir/trials/utt2dur"
  fi
  keep_as "$dir/RESULTS" score_lists
fi
