"""A folder that has, at toy size, every file that the example lines of the binaries' help name."""

import contextlib
import importlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import soundfile
from encoders import write_encoder
from foreign_weights import file_forms, weights

from sertk.datadir.lists import read_list, write_list
from sertk.datadir.prepare import write_data_dir

RATE = 16000
FBANK = ("--num-mel-bins", 4, "--cmvn", "true", "--num-threads", 1, "--verbose", 0)
# As many blocks as the real one, so that --train from-block-14 is a block of it.
NETWORK = ("--channels", 2, "--embedding-dim", 4, "--chunk-frames", "20,30", "--num-threads", 1, "--verbose", 0)
EMOTIONS = ("ang", "exc", "hap", "neu", "sad")
FOLDS = ("1", "2", "3")


def run(binary: str, *args):
    """Call a binary in this process; what it says goes nowhere, a failure is an error."""
    main = importlib.import_module(f"sertk.cli.{binary.replace('-', '_')}").main
    try:
        main([str(arg) for arg in args])
    except SystemExit as exit:
        assert exit.code == 0, (binary, *args)


def write_voice(path: Path, seed: int, seconds: float = 0.5):
    """Noise and two sines of its own: enough to have features."""
    rng, time = np.random.default_rng(seed), np.arange(int(seconds * RATE)) / RATE
    first, second = rng.uniform(100, 7000, 2)
    samples = 0.2 * np.sin(2 * np.pi * first * time) + 0.1 * np.sin(2 * np.pi * second * time)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples + rng.normal(0, 0.02, len(time)), RATE)


def write_set(name: str, keys: list[str], seed: int, **maps: dict[str, str]):
    """data/NAME of the utterances SPEAKER-…, with recordings and features."""
    paths = {key: f"wav/{name}/{key}.wav" for key in keys}
    for number, path in enumerate(paths.values()):
        write_voice(Path(path), 1000 * seed + number)
    data = Path("data", name)
    write_data_dir(data, {"wav.scp": paths, "utt2spk": {key: key.split("-")[0] for key in keys}, **maps})
    lists = ("--write-num-frames", data / "utt2num_frames", "--write-utt2dur", data / "utt2dur")
    run("make-fbank", *FBANK, *lists, f"scp:{data}/wav.scp", f"ark,scp:{data}/feats.ark,{data}/feats.scp")


def fill():
    """Fill the current folder."""
    for seed, (name, size) in enumerate({"vox1": 2, "vox2": 2, "train": 4, "test": 3}.items()):
        write_set(name, [f"{name}spk{s}-{n}" for s in range(size) for n in range(2)], seed)
    emotional = [f"Ses{s}{sex}-{label}" for s in FOLDS for sex in "FM" for label in EMOTIONS]
    utt2label = {key: key.split("-")[1] for key in emotional}
    utt2session = {key: key[:4] for key in emotional}
    write_set("all", emotional, 9, utt2label=utt2label, utt2session=utt2session, utt2dialog=utt2session)

    few = [key for key in emotional if key[4] == "F" and utt2label[key] in ("ang", "sad")]
    run("subset-data", "--verbose", 0, "--utt-list", _list("few", few), "data/all", "data/few")
    run("perturb-data", "--verbose", 0, "--level", -20, "data/few", "data/aug")
    for name in ("wav.scp", "feats.scp", "utt2spk"):
        Path(name).write_bytes(Path("data/few", name).read_bytes())
    write_list("segments", {f"{key}-part": f"{key} 0.1 0.4" for key in few})
    _list("trials.utts", few)
    _list("enrol.utts", [key for key in few if utt2label[key] == "ang"])
    run("make-fbank", *FBANK, "--cmvn", "false", "scp:wav.scp", "ark,scp:fbank.ark,fbank.scp")
    rows = [f"wav/all/{key}.wav,{key[:5]},{utt2label[key]}\n" for key in few]
    Path("corpus.csv").write_text("file,speaker,emotion\n" + "".join(rows))
    for fold in (1, 2):
        lines = [json.dumps({"wav": f"wav/all/{key}.wav", "emo": utt2label[key]}) for key in few if key[3] == str(fold)]
        Path(f"fold_{fold}.jsonl").write_text("\n".join(lines))
    for number in range(2):
        write_voice(Path("recordings", f"{number}.flac"), number)
    write_voice(Path("interview.wav"), 7)
    Path("conf").mkdir()
    Path("conf/head.grid").write_text("--learning-rate=0.01,0.1\n--epochs=1,2\n")
    Path("conf/labels.exp3").write_text("ang ang\nhap hap\nexc hap\nneu neu\nsad sad\n")
    Path("conf/speaker.conf").write_text("--channels=2\n--epochs=1\n--chunk-frames=20,30\n")

    for name, kind in {"wavlm-base-plus": "wavlm", "hubert-large": "hubert", "whisper-small": "whisper"}.items():
        write_encoder(Path(name), kind)
    Path("avg_model.pt").write_bytes(file_forms(weights(channels=2))["averaged"])
    Path("config.yaml").write_text("model: ResNet34\nmodel_args:\n  feat_dim: 80\n  embed_dim: 6\n")

    train = ("scp:data/train/feats.scp", "data/train/utt2spk")
    run("train-resnet", *NETWORK, "--epochs", 1, *train, "exp/resnet34")
    for epoch in (18, 19, 20):
        Path(f"exp/resnet34/epoch.{epoch}.pt").write_bytes(Path("exp/resnet34/final.pt").read_bytes())
    for name in ("state.pt", "train.conf"):
        Path("exp/resnet34", name).unlink()
    for name in ("train", "test"):
        table = f"ark,scp:exp/resnet34/{name}.ark,exp/resnet34/{name}.scp"
        run("embed-segments", "--num-threads", 1, "exp/resnet34/final.pt", f"scp:data/{name}/feats.scp", table)
    test = list(read_list("data/test/utt2spk"))
    pairs = [
        (a, b, "target" if a.split("-")[0] == b.split("-")[0] else "nontarget") for a in test for b in test if a < b
    ]
    Path("data/voxceleb1_test").mkdir()
    Path("data/voxceleb1_test/trials").write_text("".join(f"{a} {b} {kind}\n" for a, b, kind in pairs))
    shutil.copy("data/test/utt2spk", "data/voxceleb1_test/utt2spk")
    for name, options in (("plain", ()), ("asnorm", ("--cohort", "scp:exp/resnet34/train.scp"))):
        scores = ("--scores", f"exp/resnet34/{name}.scores")
        run("score-trials", *scores, *options, "data/voxceleb1_test/trials", "scp:exp/resnet34/test.scp")

    run("make-folds", "data/few", "folds")
    for name in ("folds.exp1", "folds.exp3"):
        shutil.copytree("folds", name)
    run("make-folds", "--label-map", "conf/labels.exp3", "data/all", "exp/folds")
    for data, folder in (("data/few", "."), ("data/all", "exp")):
        draws = ("--draws", 20 if data == "data/few" else 2, "--chunk-frames", "20", "--num-threads", 1)
        table = f"ark,scp:{folder}/draws.ark,{folder}/draws.scp"
        run("embed-segments", *draws, "exp/resnet34/final.pt", f"scp:{data}/feats.scp", table)
    maps = ("--draws", 20, "--at", "map", "--chunk-frames", 20, "--num-threads", 1)
    run("embed-segments", *maps, "exp/resnet34/final.pt", "scp:data/few/feats.scp", "ark,scp:maps.ark,maps.scp")
    whole = ("--at", "pool", "--num-threads", 1, "exp/resnet34/final.pt", "scp:feats.scp")
    run("embed-segments", *whole, "ark,scp:whole.ark,whole.scp")
    run("cmvn-segment", "--verbose", 0, "--stats", "ark,scp:stats.ark,stats.scp", "scp:fbank.scp", "ark:n.ark")
    Path("n.ark").unlink()
    Path("vectors.scp").write_bytes(Path("stats.scp").read_bytes())
    lists = ("none", "scp:vectors.scp", "folds/utt2label", "folds/utt2fold", "exp/functionals")
    run("transfer-head", "--epochs", 2, "--num-threads", 1, "--folds", 1, *lists)
    for seed, name in enumerate(("exp1", "transfer", "scratch")):
        options = ("--epochs", 2, "--seed", seed, "--num-threads", 1)
        lists = ("exp/folds/utt2label", "exp/folds/utt2fold")
        run("transfer-head", *options, "exp/resnet34/final.pt", "scp:exp/draws.scp", *lists, f"exp/{name}")
        for fold in FOLDS:
            options = ("--utt2fold", "exp/folds/utt2fold", "--fold", fold, "--num-threads", 1)
            table = f"ark,scp:exp/{name}/{fold}/scores.ark,exp/{name}/{fold}/scores.scp"
            run("predict-emotion", *options, f"exp/{name}/{fold}/final.pt", "scp:data/all/feats.scp", table)
    groups = ("--utt2group", "utt2spk", "scp:fbank.scp", "ark,scp:byspeaker.ark,byspeaker.scp")
    run("cmvn-segment", "--verbose", 0, *groups)
    few_epochs = ("--epochs", 1, "--batch-size", 2)
    run("train-resnet", *NETWORK, *few_epochs, "scp:byspeaker.scp", "folds/utt2label", "exp/byspeaker/1")
    run("make-folds", "--label-map", "conf/labels.exp3", "data/all", "exp/exp1/folds")
    kept = read_list("exp/folds/utt2label")
    classes = Path("exp/folds/labels.txt").read_text().split()
    rows = [",".join([key, *("0.7" if label == right else "0.1" for label in classes)]) for key, right in kept.items()]
    Path("predictions.csv").write_text(",".join(["file", *classes]) + "\n" + "\n".join(rows))
    rows = [{"file": f"{key}.wav", "answer": [{"label": right, "score": 1.0}]} for key, right in kept.items()]
    Path("pipeline.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run("score-loso", "--json", "exp/exp1/results.json", *lists, "exp/exp1")


def _list(name: str, keys: list[str]) -> Path:
    Path(name).write_text("".join(f"{key}\n" for key in keys))
    return Path(name)


def make(folder: Path) -> Path:
    """Make the folder; paths in its tables are relative to it, so that a copy is as good."""
    folder.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        with open(os.devnull, "w") as null, contextlib.redirect_stderr(null), contextlib.redirect_stdout(null):
            fill()
    finally:
        os.chdir(before)
    return folder
