#!/usr/bin/env bash
# Speaker networks compared, with the same network and number of steps: by equal error rates on two lists of trials, and by
# what heads on their frozen trunks recognise of EmoDB's emotions, with several seeds.
#
# usage: local/run_speakers.sh --librispeech DIR --speechocean DIR [options]
# e.g.: local/run_speakers.sh --librispeech /corpora/LibriSpeech --speechocean /corpora/speechocean762
#       local/run_speakers.sh --cells "plain aam" --stage 2
#
#   --librispeech DIR --speechocean DIR
#                        LibriSpeech as for run.sh; speechocean762 holds WAVE, its last 20 speakers are for the trials
#   --cells "plain speeds noise aam all"
#                        networks: plain softmax; three speeds as classes; a copy of each recording with noise, babble or
#                        a room; with a margin; all three. Also: cosine (all, with a cosine schedule) and level (all, on
#                        features that are normalised by the training segments' statistics, not segment by segment)
#   --train-per-speaker 4
#                        recordings of each training speaker of LibriSpeech; 0: all
#   --epochs 8           of the recordings as they are; perturbed copies take as many steps
#   --seeds 3            heads with the seeds 0, 1, …
#   --stage 1 --stop-stage 4
#     1 data folders, features  2 networks  3 equal error rates  4 heads on the frozen trunks, the table
#   --conf DIR           fbank.conf, speaker.conf, draws.conf, head.conf: settings of make-fbank (of all data folders),
#                        train-resnet, embed-segments and transfer-head [conf/speakers]
#   --work DIR           of run.sh, after its stages 1 and 5; writes data/speakers and exp/speakers there [this recipe]
#   --nj 4 --num-threads 1 --device cpu|cuda|cuda:N
#                        feature jobs, CPU threads of a training, device
#   --config FILE        lines of --name=value with any of these
#
# Results: exp/speakers/{RESULTS,CELL/RESULTS.*}
set -euo pipefail
recipe=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=../path.sh
. "$recipe/path.sh"
# shellcheck source=../cmd.sh
. "$recipe/cmd.sh"

librispeech='' speechocean='' cells='plain speeds noise aam all' train_per_speaker=4 epochs=8 seeds=3 work=''
stage=1 stop_stage=4 stamp='' nj=4 num_threads=1 device='' conf=''
. sertk_options.sh
. recipe.sh
[ $# -eq 0 ] || die "unexpected argument '$1' (see run_speakers.sh --help)"
absolute librispeech speechocean work conf
cd "$recipe"
work=${work:-.} conf=${conf:-conf/speakers}
data=$work/data/speakers exp=$work/exp/speakers emodb=$work/data/speakers/emodb folds=$work/exp/emodb/folds
need_for 1 --conf "$conf/fbank.conf"
need_for 2 --conf "$conf/speaker.conf"
need_for 4 --conf "$conf/draws.conf"
need_for 4 --conf "$conf/head.conf"
compute=(--num-threads "$num_threads" ${device:+--device "$device"})
need "$folds/utt2fold" "run.sh --stop-stage 5 makes it"

# The data of a cell, its chunks of each recording in an epoch (the product with the copies is 6 in all), and the folder of
# its features in any data folder.
data_of() {
  case $1 in
    speeds) echo "$data/speeds" ;;
    noise) echo "$data/noise" ;;
    all | cosine | level) echo "$data/all" ;;
    *) echo "$data/train" ;;
  esac
}
copies_of() { case $1 in speeds) echo 2 ;; noise) echo 3 ;; all | cosine | level) echo 1 ;; *) echo 6 ;; esac; }
feats_of() { case $1 in level) echo "$2/level/feats.scp" ;; *) echo "$2/feats.scp" ;; esac; }

options_of() {
  local margin=(--loss aam --margin 0.2 --margin-from 2 --margin-to 4)
  local halving=(--hold-epochs $((epochs * 4 / 7)) --halve-every 1)
  case $1 in
    plain | speeds | noise) echo "${halving[@]}" --loss softmax ;;
    aam | all) echo "${halving[@]}" "${margin[@]}" ;;
    cosine) echo "${margin[@]}" --schedule cosine --warmup-epochs 0.5 --nesterov true --learning-rate 0.05 \
      --weight-decay 0.0001 --decay-all false ;;
    level) echo "${halving[@]}" "${margin[@]}" --input-norm true ;;
    *) die "there is no cell '$1' (plain speeds noise aam all cosine level)" ;;
  esac
}

if at_stage 1 "data folders and features"; then
  [ -n "$librispeech" ] && [ -n "$speechocean" ] || die "stage 1 needs --librispeech DIR and --speechocean DIR"
  local/prepare_librispeech.py --train-per-speaker "$train_per_speaker" "$librispeech" "$data/librispeech"
  local/prepare_speechocean.py "$speechocean" "$data/speechocean"
  combine-data "$data/train" "$data/librispeech/train" "$data/speechocean/train"
  noise=(--noise synthetic --babble own --rir synthetic --each-kind false)
  combine-data "$emodb" "$work/data/emodb"
  sets=("$emodb" "$data/librispeech/test" "$data/speechocean/test")
  for cell in $cells; do
    train=$(data_of "$cell")
    case $train in
      */speeds) perturb-data --speed 0.9,1.1 "$data/train" "$train" ;;
      */noise) perturb-data "${noise[@]}" "$data/train" "$train" ;;
      */all) perturb-data --speed 0.9,1.1 "${noise[@]}" "$data/train" "$train" ;;
    esac
    [[ " ${sets[*]} " == *" $train "* ]] || sets+=("$train")
  done
  features=(--cmd "$feats_cmd" --nj "$nj" --config "$conf/fbank.conf")
  for set in "${sets[@]}"; do
    make_feats.sh "${features[@]}" "$set"
  done
  if [[ " $cells " == *" level "* ]]; then
    for set in "$data/all" "$data/librispeech/test" "$data/speechocean/test" "$emodb"; do
      combine-data "$set/level" "$set"
      make_feats.sh "${features[@]}" --cmvn false "$set/level"
    done
  fi
fi
for cell in $cells; do
  check_feats 2 4 "$conf/fbank.conf" "$(dirname "$(feats_of "$cell" "$(data_of "$cell")")")" \
    "$(dirname "$(feats_of "$cell" "$emodb")")"
done

if at_stage 2 "networks: $cells"; then
  for cell in $cells; do
    read -ra options <<<"$(options_of "$cell")"
    train=$(data_of "$cell")
    $train_cmd --num-threads "$num_threads" "$exp/$cell/log/train.log" \
      train-resnet --config "$conf/speaker.conf" --epochs "$epochs" \
        --augment none --copies "$(copies_of "$cell")" "${options[@]}" "${compute[@]}" \
        "scp:$(feats_of "$cell" "$train")" "$train/utt2spk" "$exp/$cell"
  done
fi

if at_stage 3 "equal error rates"; then
  for cell in $cells; do
    for set in librispeech speechocean; do
      test=$data/$set/test vectors=$exp/$cell/$set
      $train_cmd --num-threads "$num_threads" "$exp/$cell/log/embed.$set.log" \
        embed-segments "${compute[@]}" "$exp/$cell/final.pt" "scp:$(feats_of "$cell" "$test")" "ark,scp:$vectors.ark,$vectors.scp"
      keep_as "$exp/$cell/RESULTS.$set" \
        score-trials --utt2spk <(cat "$(data_of "$cell")/utt2spk" "$test/utt2spk") --json "$exp/$cell/$set.json" \
          --scores "$exp/$cell/$set.scores" "$test/trials" "scp:$vectors.scp"
    done
  done
fi

results() {
  local cell set
  for cell in $cells; do
    for set in librispeech speechocean; do printf '%-10s %-12s %s\n' "$cell" "$set" "$(cat "$exp/$cell/RESULTS.$set")"; done
  done
  echo
  local/compare.py "$folds" "${systems[@]}"
  [ "${#directories[@]}" -lt 2 ] || compare-scores "$folds/utt2label" "${directories[@]}"
}

if at_stage 4 "heads on the frozen trunks of EmoDB, $seeds seeds each"; then
  for cell in $cells; do
    dir=$exp/$cell/emodb
    only_runs "$dir" "$(seq 0 $((seeds - 1)))"
    for ((seed = 0; seed < seeds; seed++)); do
      only_folds "$dir/seed$seed" "$folds"
      draws=$exp/$cell/draws.$seed
      $train_cmd --num-threads "$num_threads" "$exp/$cell/log/draws.$seed.log" \
        embed-segments --config "$conf/draws.conf" --seed "$seed" "${compute[@]}" \
          "$exp/$cell/final.pt" "scp:$(feats_of "$cell" "$emodb")" "ark,scp:$draws.ark,$draws.scp"
      $train_cmd --num-threads "$num_threads" "$exp/$cell/log/transfer.$seed.log" \
        transfer-head --config "$conf/head.conf" --seed "$seed" "${compute[@]}" \
          "$exp/$cell/final.pt" "scp:$draws.scp" "$folds/utt2label" "$folds/utt2fold" "$dir/seed$seed"
    done
    score_folds.sh --cmd "$train_cmd" --num-threads "$num_threads" --device "$device" --data "$emodb" \
      "$(feats_of "$cell" "$emodb")" "$folds" "$dir"
  done
  systems=() directories=()
  for cell in $cells; do systems+=("$cell=$exp/$cell/emodb") directories+=("$exp/$cell/emodb"); done
  keep_as "$exp/RESULTS" results
fi
