# Functions of the systems level, level-frozen, level-finetune, level-perturbed, segment-mean, speaker-norm,
# unnormalised and frozen-aux, after system.sh.
# shellcheck shell=bash disable=SC2154  # variables of system.sh

# level_feats: features that are not normalised by segments, in a data folder of their own, DATA/level.
level_feats() {
  combine-data "$data/level" "$data"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$conf/level.fbank.conf" "$data/level"
}

# perturbed_feats: the same features of the segments and of perturbed copies, in a data folder of their own, DATA/perturbed. In
# DIR/lists the copies have the labels and folds of their originals.
perturbed_feats() {
  local copies=$data/perturbed list
  perturb-data --config "$conf/perturb.conf" "$data" "$copies"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$conf/level.fbank.conf" "$copies"
  mkdir -p "$dir/lists"
  for list in utt2label utt2fold; do
    awk 'NR == FNR { of[$1] = $2; next } $2 in of { print $1, of[$2] }' "$folds/$list" "$copies/utt2uniq" >"$dir/lists/$list"
  done
  cp "$folds/labels.txt" "$copies/utt2spk" "$copies/utt2uniq" "$dir/lists"
}

# raw_feats: those of the front end of --init before normalisation, in a data folder of their own, DATA/raw.
raw_feats() {
  combine-data "$data/raw" "$data"
  { cat "$(fbank_conf_of "$init")"; echo "--allow-resample=true"; } >"$data/raw/fbank.conf"
  make_feats.sh --cmd "$feats_cmd" --nj "$nj" --cmvn false --config "$data/raw/fbank.conf" "$data/raw"
}
