# Function of the openSMILE systems, after system.sh.
# shellcheck shell=bash disable=SC2154  # variables of system.sh

# opensmile_svm SET: functionals in DATA/SET.scp (computed again if wav.scp is newer), linear SVM, posteriors.
opensmile_svm() {
  local here table segments=() total job
  here=$(dirname "${BASH_SOURCE[0]}")
  if ! [ "$data/$1.scp" -nt "$data/wav.scp" ]; then
    total=$(wc -l <"$data/utt2spk")
    [ "$nj" -le "$total" ] || nj=$total
    split-data --print-args=false --verbose 0 --per-utt true "$data" "$nj"
    table=$(realpath -m "$data/functionals")/$1
    mkdir -p "$data/functionals"
    [ ! -e "$data/segments" ] || segments=(--segments "$data/split${nj}utt/JOB/segments")
    $feats_cmd JOB=1:"$nj" "$data/functionals/log/$1.JOB.log" \
      "$here/opensmile_functionals.py" --set "$1" "${segments[@]}" \
        "scp,p:$data/split${nj}utt/JOB/wav.scp" "ark,scp:$table.JOB.ark,$table.JOB.scp"
    for job in $(seq "$nj"); do cat "$table.$job.scp"; done | sort >"$data/$1.scp.tmp"
    mv "$data/$1.scp.tmp" "$data/$1.scp"
  fi
  $train_cmd "$dir/log/svm.log" "$here/linear_svm.py" --inner-scores "$dir" "scp:$data/$1.scp" "$folds" "$dir/predictions.csv"
  import-scores --trained-on folds "$dir/predictions.csv" "$folds" "$dir"
}
