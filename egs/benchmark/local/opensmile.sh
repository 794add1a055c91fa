# Function of the openSMILE systems, after system.sh.
# shellcheck shell=bash disable=SC2154  # variables of system.sh

# opensmile_svm SET: functionals in DATA/SET.scp, linear SVM, posteriors.
opensmile_svm() {
  local here fitted vectors
  here=$(dirname "${BASH_SOURCE[0]}")
  functionals "$here" "$1"
  vectors=$(normalised "$data/$1.scp")
  if trains; then
    cp "$vectors" "$dir/vectors.scp"
    fitted=(--inner-scores "$dir" "scp:$dir/vectors.scp")
  else
    fitted=(--fitted "$models/predictions.json" --test-vectors "scp:$vectors" "scp:$models/vectors.scp")
  fi
  $train_cmd "$dir/log/svm.log" "$here/linear_svm.py" "${fitted[@]}" "$folds" "$dir/predictions.csv"
  import-scores --trained-on folds --transductive "$by_speaker" "$dir/predictions.csv" "$folds" "$dir"
}

# functionals HERE SET: writes DATA/SET.scp; archives that are there, of the same recordings, are kept.
functionals() {
  local table segments=() perturb=() total job split archives=() made_of
  total=$(wc -l <"$data/utt2spk")
  [ "$nj" -le "$total" ] || nj=$total
  split=$data/split${nj}utt table=$(realpath -m "$data/functionals")/$2
  for job in $(seq "$nj"); do archives+=("$table.$job."{ark,scp}); done
  made_of=$(inputs_of "$data" "$1/opensmile_functionals.py" "$nj" "$table")
  if ! is_made "$table.made_of" "$made_of" "${archives[@]}"; then
    mkdir -p "$data/functionals"
    rm -f "$table.made_of"
    split-data --print-args=false --verbose 0 --per-utt true "$data" "$nj"
    [ ! -e "$data/segments" ] || segments=(--segments "$split/JOB/segments")
    if [ -e "$data/utt2perturb" ]; then
      perturb=(--utt2perturb "$split/JOB/utt2perturb")
      for job in $(seq "$nj"); do touch "$split/$job/utt2perturb"; done
    fi
    $feats_cmd JOB=1:"$nj" "$data/functionals/log/$2.JOB.log" \
      "$1/opensmile_functionals.py" --set "$2" "${segments[@]}" "${perturb[@]}" \
        "scp,p:$split/JOB/wav.scp" "ark,scp:$table.JOB.ark,$table.JOB.scp"
  fi
  for job in $(seq "$nj"); do cat "$table.$job.scp"; done | sort >"$data/$2.scp.tmp"
  mv "$data/$2.scp.tmp" "$data/$2.scp"
  [ "$(wc -l <"$data/$2.scp")" -lt "$total" ] || echo "$made_of" >"$table.made_of"
}
