# Functions of the systems level, level-frozen, level-finetune, level-perturbed, segment-mean, speaker-norm and
# frozen-aux, after system.sh.
# shellcheck shell=bash disable=SC2154  # variables of system.sh

# level_feats: features that are not normalised by segments, in a data folder of their own, DATA/level; once for all runs and
# systems, computed again if wav.scp is newer.
level_feats() {
  [ "$data/level/feats.scp" -nt "$data/wav.scp" ] && return
  combine-data "$data/level" "$data"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$conf/level.fbank.conf" "$data/level"
}

# perturbed_feats: the same features of the segments and of perturbed copies, in a data folder of their own, DATA/perturbed;
# computed again if wav.scp is newer. In DIR/lists the copies have the labels and folds of their originals.
perturbed_feats() {
  local copies=$data/perturbed list
  if [ ! "$copies/feats.scp" -nt "$data/wav.scp" ]; then
    perturb-data --config "$conf/perturb.conf" "$data" "$copies"
    make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$conf/level.fbank.conf" "$copies"
  fi
  mkdir -p "$dir/lists"
  for list in utt2label utt2fold; do
    awk 'NR == FNR { of[$1] = $2; next } $2 in of { print $1, of[$2] }' "$folds/$list" "$copies/utt2uniq" >"$dir/lists/$list"
  done
  cp "$folds/labels.txt" "$copies/utt2spk" "$copies/utt2uniq" "$dir/lists"
}

# raw_feats: those of the front end of --init before normalisation, in a data folder of their own, $data/raw; computed
# again if wav.scp is newer.
raw_feats() {
  [ "$data/raw/feats.scp" -nt "$data/wav.scp" ] && return
  combine-data "$data/raw" "$data"
  { cat "$(fbank_conf_of "$init")" && echo "--allow-resample=true"; } >"$data/raw/fbank.conf"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$data/raw/fbank.conf" "$data/raw"
}
