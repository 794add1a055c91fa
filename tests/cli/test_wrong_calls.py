"""Wrong calls: each ends in one line that says what is wrong with what, and leaves every file as it was."""

import shlex
import shutil
from pathlib import Path

import pytest
from support import ROOT

MODEL = "exp/exp1/1/final.pt"
FOLDS = "exp/folds/utt2label exp/folds/utt2fold"

# Calls of each binary with a piece of what they must say. bad/ is made by the fixture `place`; existing files are named
# as outputs, so that a call that fails must leave them as they were.
CALLS = {
    "make-fbank": [
        ("", "Missing argument 'WAV-RSPECIFIER'"),
        ("scp:wav.scp", "Missing argument 'FEATS-WSPECIFIER'"),
        ("wav.scp ark:feats.ark", "'WAV-RSPECIFIER': bad rspecifier 'wav.scp'"),
        ("scp:wav.scp scp:feats.scp", "'data/all/feats.ark:10' names an offset"),
        ("scp:nowhere.scp ark:feats.ark", "nowhere.scp: cannot be read"),
        ("scp:bad/empty ark:feats.ark", "bad/empty"),
        ("scp:bad/one-column ark:feats.ark", "bad/one-column:1"),
        ("scp:bad/missing.scp ark,scp:feats.ark,feats.scp", "key b: nowhere.wav"),
        ("scp:bad/noise.scp ark,scp:feats.ark,feats.scp", "scp:bad/noise.scp: nothing was processed (2 read, 2 skipped)"),
        ("'scp:false |' ark:feats.ark", "false |"),
        ("--num-mel-bins", "Option '--num-mel-bins' requires an argument"),
        ("--num-mel-bins=many scp:wav.scp ark:feats.ark", "'many' is not a valid integer"),
        ("--num-mel-bins=2000 scp:wav.scp ark:feats.ark", "mel"),
        ("--low-freq=9000 scp:wav.scp ark:feats.ark", "--low-freq=9000"),
        ("--snip-edges=yes scp:wav.scp ark:feats.ark", "'yes' is neither true nor false"),
        ("--window-type=square scp:wav.scp ark:feats.ark", "square"),
        ("--compress=cm9 scp:wav.scp ark:feats.ark", "'cm9'"),
        ("--sample-frequency=8000 --high-freq=0 --num-mel-bins=8 scp:wav.scp ark:feats.ark", "16000"),
        ("--segments=nowhere scp:wav.scp ark:feats.ark", "nowhere"),
        ("--segments=bad/empty scp:wav.scp ark:feats.ark", "bad/empty"),
        ("--segments=bad/backwards scp:wav.scp ark:feats.ark", "bad/backwards:1: key a"),
        ("--config=nowhere.conf scp:wav.scp ark:feats.ark", "nowhere.conf"),
        ("scp:wav.scp ark:nowhere/feats.ark", "nowhere/feats.ark"),
        ("scp:wav.scp ark:data", "data"),
    ],
    "cmvn-segment": [
        ("", "Missing argument 'FEATS-RSPECIFIER'"),
        ("scp:fbank.scp feats.ark", "'FEATS-WSPECIFIER': bad wspecifier 'feats.ark'"),
        ("scp:nowhere.scp ark:feats.ark", "nowhere.scp"),
        ("ark:bad/empty ark:feats.ark", "bad/empty"),
        ("ark:bad/cut.ark ark:feats.ark", "bad/cut.ark"),
        ("ark:bad/noise ark:feats.ark", "bad/noise"),
        ("ark:bad/pickle.ark ark:feats.ark", "bad/pickle.ark"),
        ("ark:bad/nan.ark ark:feats.ark", "key a"),
        ("scp:bad/offset.scp ark:feats.ark", "bad/offset.scp"),
        ("--verify true scp:bad/changed.scp ark:feats.ark", "bad/changed.ark"),
        ("'ark:cat fbank.ark; exit 3 |' ark:feats.ark", "exit 3 |"),
        ("scp:fbank.scp 'ark:| exit 4'", "exit 4"),
        ("scp:feats.scp ark:x.ark", "normalised already"),
        ("--utt2group nowhere scp:fbank.scp ark:feats.ark", "nowhere"),
        ("--utt2group data/train/utt2spk scp:fbank.scp ark:feats.ark", "(6 read, 6 skipped)"),
        ("--norm-vars 1 scp:fbank.scp ark:feats.ark", "'1' is neither true nor false"),
    ],
    "validate-data": [
        ("", "Missing argument 'DATA-DIR'"),
        ("nowhere", "nowhere"),
        ("wav.scp", "wav.scp"),
        ("conf", "conf"),
        ("bad/data", "bad/data: "),
        ("--verify yes data/train", "'yes' is neither true nor false"),
        ("--limit 0 data/train", "--limit"),
        ("data/train data/test", "unexpected extra argument (data/test)"),
    ],
    "fix-data": [
        ("", "Missing argument 'DATA-DIR'"),
        ("nowhere", "nowhere"),
        ("wav.scp", "wav.scp"),
        ("conf", "conf"),
        ("bad/disjoint", "no utterance is in all lists"),
        ("bad/twice", "bad/twice/utt2spk:2: key a comes twice"),
    ],
    "split-data": [
        ("data/train", "Missing argument 'N'"),
        ("data/train many", "'many' is not a valid integer"),
        ("data/train 0", "0"),
        ("data/train 5", "4 speakers cannot be split into 5 parts"),
        ("--per-utt true data/train 9", "8 utterances cannot be split into 9 parts"),
        ("nowhere 2", "nowhere"),
        ("bad/data 2", "bad/data"),
        ("conf 2", "conf"),
    ],
    "subset-data": [
        ("data/all data/test", "One of --utt-list, --spk-list, --first and --per-spk"),
        ("--first 2 --per-spk 1 data/all data/test", "One of --utt-list, --spk-list, --first and --per-spk"),
        ("--first 0 data/all data/test", "--first"),
        ("--first 2 nowhere data/test", "nowhere"),
        ("--first 2 data/all data/all", "data/all: is read and written at once"),
        ("--utt-list nowhere data/all data/test", "nowhere"),
        ("--utt-list bad/empty data/all data/test", "bad/empty: is empty"),
        ("--utt-list bad/strangers data/all data/test", "bad/strangers:1: data/all has no utterance stranger"),
        ("--spk-list bad/strangers data/all data/test", "bad/strangers:1: data/all has no speaker stranger"),
        ("--first 2 data/all", "Missing argument 'OUT-DIR'"),
    ],
    "combine-data": [
        ("", "Missing argument 'DATA-DIR…'"),
        ("data/vox1", "Missing argument"),
        ("data/vox1 nowhere data/test", "nowhere"),
        ("data/vox1 data/vox1 data/test", "data/vox1/"),
        ("data/vox1 data/vox2 data/vox1", "data/vox1: is read and written at once"),
        ("data/vox1 bad/data data/test", "bad/data"),
        ("data/vox1 conf data/test", "conf"),
    ],
    "make-folds": [
        ("data/all", "Missing argument 'FOLD-DIR'"),
        ("nowhere folds", "nowhere/utt2label: cannot be read"),
        ("data/train folds", "data/train/utt2label: cannot be read"),
        ("bad/data folds", "bad/data/utt2label"),
        ("--label-map nowhere data/all folds", "nowhere"),
        ("--label-map bad/empty data/all folds", "bad/empty"),
        ("--label-map bad/unknown-map data/all folds", "no segment has the label 'neu'"),
        ("--label-map bad/one-column data/all folds", "bad/one-column:1"),
        ("--scheme random data/all folds", "'random' is not one of"),
        ("--scheme stratified --num-folds 50 data/all folds", "50"),
        ("--scheme loso --num-folds 4 data/all folds", "4"),
        ("--num-folds 1 data/all folds", "--num-folds"),
        ("--part improvised bad/one-dialog folds", "utt2dialog"),
    ],
    "train-resnet": [
        ("scp:feats.scp utt2spk", "Missing argument 'DIR'"),
        ("feats.scp utt2spk exp/new", "'FEATS-RSPECIFIER': bad rspecifier 'feats.scp'"),
        ("scp:nowhere.scp utt2spk exp/new", "nowhere.scp"),
        ("scp:bad/empty utt2spk exp/new", "bad/empty"),
        ("ark:bad/cut.ark utt2spk exp/new", "bad/cut.ark"),
        ("scp:feats.scp nowhere exp/new", "nowhere"),
        ("scp:feats.scp bad/empty exp/new", "bad/empty"),
        ("scp:feats.scp data/train/utt2spk exp/new", "scp:feats.scp: 8 of 8 labelled segments are not in it"),
        ("scp:feats.scp bad/one-label exp/new", "label"),
        ("--init bad/noise scp:feats.scp utt2spk exp/new", "bad/noise: not a model file"),
        ("--init bad/cut.pt scp:feats.scp utt2spk exp/new", "bad/cut.pt"),
        ("--init exp/resnet34/final.pt ark:bad/narrow.ark bad/narrow-labels exp/new", "takes 4 bins"),
        ("--init exp/resnet34/final.pt --channels 8 scp:feats.scp utt2spk exp/new", "--channels"),
        ("--init exp/resnet34/final.pt --train tail scp:feats.scp utt2spk exp/new", "tail"),
        ("--init exp/resnet34/final.pt --train from-block-99 scp:feats.scp utt2spk exp/new", "99"),
        ("--train head scp:feats.scp utt2spk exp/new", "--train head keeps the rest of a network as it is"),
        ("--blocks 3,4 scp:feats.scp utt2spk exp/new", "--blocks: four stages have four numbers"),
        ("--chunk-frames 0 scp:feats.scp utt2spk exp/new", "'0' is not a comma-separated list"),
        ("--augment loud scp:feats.scp utt2spk exp/new", "loud"),
        ("--fold 1 scp:feats.scp utt2spk exp/new", "--utt2fold and --fold go together"),
        ("--utt2fold folds/utt2fold scp:feats.scp utt2spk exp/new", "--utt2fold and --fold go together"),
        ("--utt2fold folds/utt2fold --fold 9 scp:feats.scp utt2spk exp/new", "there is no fold '9' (folds: 1 2 3)"),
        ("--pooling none scp:feats.scp utt2spk exp/new", "--chunk-frames"),
        ("--device cuda:99 scp:feats.scp utt2spk exp/new", "--device cuda:99"),
        ("--device tpu scp:feats.scp utt2spk exp/new", "no such device: 'tpu'"),
        ("--learning-rate 0 scp:feats.scp utt2spk exp/new", "--learning-rate"),
        ("--learning-rate nan scp:feats.scp utt2spk exp/new", "nan is not a finite number"),
        ("--config bad/unknown.conf scp:feats.scp utt2spk exp/new", "bad/unknown.conf:2"),
        ("scp:feats.scp utt2spk wav.scp", "wav.scp"),
    ],
    "embed-segments": [
        (f"{MODEL} scp:feats.scp", "Missing argument 'VECTORS-WSPECIFIER'"),
        ("nowhere.pt scp:feats.scp ark:draws.ark", "nowhere.pt"),
        ("bad/noise scp:feats.scp ark:draws.ark", "bad/noise: not a model file"),
        ("bad/cut.pt scp:feats.scp ark:draws.ark", "bad/cut.pt"),
        (f"{MODEL} scp:nowhere.scp ark:draws.ark", "nowhere.scp"),
        (f"{MODEL} scp:bad/empty ark:draws.ark", "bad/empty"),
        (f"{MODEL} ark:bad/cut.ark ark:draws.ark", "bad/cut.ark"),
        (f"{MODEL} ark:bad/narrow.ark ark:draws.ark", "takes 4 bins"),
        (f"{MODEL} scp:fbank.scp ark:draws.ark", "cmvn"),
        (f"--draws 2 {MODEL} scp:fbank.scp ark:draws.ark", "cmvn"),
        (f"--draws 2 {MODEL} ark:bad/narrow.ark ark:draws.ark", "takes 4"),
        (f"--draws 0 {MODEL} scp:feats.scp ark:draws.ark", "--draws"),
        (f"--draws 2 --augment loud {MODEL} scp:feats.scp ark:draws.ark", "loud"),
        (f"--at head {MODEL} scp:feats.scp ark:draws.ark", "'head' is not one of"),
        (f"--device cuda:99 {MODEL} scp:feats.scp ark:draws.ark", "--device cuda:99"),
    ],
    "transfer-head": [
        (f"exp/resnet34/final.pt scp:draws.scp {FOLDS}", "UTT2LABEL UTT2FOLD DIR come in threes, 2 were given"),
        (f"exp/resnet34/final.pt scp:draws.scp {FOLDS} exp/x {FOLDS} exp/x", "each label set has a DIR of its own"),
        ("nowhere.pt scp:draws.scp folds/utt2label folds/utt2fold exp/exp1", "nowhere.pt"),
        ("exp/exp1/1/final.pt scp:draws.scp folds/utt2label folds/utt2fold exp/exp1", "made by another model"),
        ("exp/resnet34/final.pt scp:nowhere.scp folds/utt2label folds/utt2fold exp/exp1", "nowhere.scp"),
        ("exp/resnet34/final.pt scp:feats.scp folds/utt2label folds/utt2fold exp/exp1", "embed-segments --draws"),
        ("exp/resnet34/final.pt scp:draws.scp nowhere folds/utt2fold exp/exp1", "nowhere"),
        ("exp/resnet34/final.pt scp:draws.scp folds/utt2label bad/empty exp/exp1", "bad/empty"),
        (f"exp/resnet34/final.pt scp:draws.scp {FOLDS} exp/exp1", "labelled segments are not in it"),
        ("--epochs 21 exp/resnet34/final.pt scp:draws.scp folds/utt2label folds/utt2fold exp/exp1", "21 epochs"),
        ("--folds 9 exp/resnet34/final.pt scp:draws.scp folds/utt2label folds/utt2fold exp/exp1", "there is no fold '9'"),
        ("--folds 1,,2 exp/resnet34/final.pt scp:draws.scp folds/utt2label folds/utt2fold exp/exp1", "there is no fold ''"),
        ("exp/resnet34/final.pt ark:bad/cut-draws.ark folds/utt2label folds/utt2fold exp/exp1", "cut-draws"),
        ("--device cuda:99 exp/resnet34/final.pt scp:draws.scp folds/utt2label folds/utt2fold exp/exp1", "cuda:99"),
    ],
    "average-models": [
        ("", "Missing argument 'MODEL...'"),
        (f"{MODEL} exp/new.pt", "a mean takes two models at least"),
        (f"{MODEL} nowhere.pt exp/new.pt", "nowhere.pt"),
        (f"{MODEL} wav.scp exp/new.pt", "wav.scp: not a model file"),
        (f"{MODEL} bad/cut.pt exp/new.pt", "bad/cut.pt"),
        (f"{MODEL} exp/resnet34/final.pt exp/new.pt", f"labels trainspk0 trainspk1 trainspk2 trainspk3, but {MODEL} has ang"),
        (f"{MODEL} {MODEL} nowhere/new.pt", "nowhere/new.pt"),
    ],
    "plot-training": [
        ("", "Missing argument 'DIR...'"),
        ("exp/resnet34 curves.jpg", "'curves.jpg': a picture ends in .png or .pdf"),
        ("nowhere curves.png", "nowhere: neither it nor its folds have a train.jsonl"),
        ("exp/resnet34 folds curves.png", "folds: neither it nor its folds have a train.jsonl"),
        ("exp/resnet34 nowhere/curves.png", "nowhere/curves.png"),
    ],
    "predict-emotion": [
        (f"{MODEL} scp:feats.scp", "Missing argument 'POSTERIORS-WSPECIFIER'"),
        ("nowhere.pt scp:feats.scp ark:draws.ark", "nowhere.pt"),
        ("wav.scp scp:feats.scp ark:draws.ark", "wav.scp: not a model file"),
        (f"{MODEL} scp:nowhere.scp ark:draws.ark", "nowhere.scp"),
        (f"{MODEL} ark:bad/empty ark:draws.ark", "bad/empty"),
        (f"{MODEL} ark:bad/cut.ark ark:draws.ark", "bad/cut.ark"),
        (f"{MODEL} ark:bad/narrow.ark ark:draws.ark", "takes 4 bins"),
        (f"{MODEL} scp:fbank.scp ark:draws.ark", "cmvn"),
        (f"--fold 1 {MODEL} scp:feats.scp ark:draws.ark", "--utt2fold and --fold go together"),
        (f"--utt2fold nowhere --fold 1 {MODEL} scp:feats.scp ark:draws.ark", "nowhere"),
        (f"--utt2fold folds/utt2fold --fold 9 {MODEL} scp:feats.scp ark:draws.ark", "folds/utt2fold: no segment is in fold 9"),
        (f"--utt2fold exp/folds/utt2fold --fold 1 {MODEL} scp:feats.scp ark:draws.ark", "scp:feats.scp: 8 of 10 skipped"),
        (f"--device cuda:99 {MODEL} scp:feats.scp ark:draws.ark", "--device cuda:99"),
    ],
    "score-loso": [
        (FOLDS, "Missing argument 'POSTERIORS-R'"),
        ("nowhere exp/folds/utt2fold exp/exp1", "nowhere"),
        ("exp/folds/utt2label nowhere exp/exp1", "nowhere"),
        (f"{FOLDS} exp/nowhere", "exp/nowhere: neither a folder nor"),
        (f"{FOLDS} exp/resnet34", "exp/resnet34"),
        (f"{FOLDS} ark:bad/empty", "bad/empty"),
        (f"{FOLDS} ark:bad/cut-scores.ark", "bad/cut-scores.ark"),
        (f"{FOLDS} scp:exp/exp1/1/scores.scp", "Ses"),
        (f"{FOLDS} scp:feats.scp", "feats"),
        ("exp/folds/utt2label bad/empty exp/exp1", "bad/empty"),
        ("folds/utt2label folds/utt2fold exp/exp1", "its posteriors are of ang hap neu sad, wanted are ang sad"),
        ("--labels exp/folds/labels.txt bad/unknown-labels exp/folds/utt2fold exp/exp1", "bored"),
        (f"--labels nowhere {FOLDS} exp/exp1", "nowhere"),
        (f"--clusters nowhere {FOLDS} exp/exp1", "nowhere"),
        (f"--clusters folds/utt2fold {FOLDS} exp/exp1", "folds/utt2fold"),
        (f"--json nowhere/r.json {FOLDS} exp/exp1", "nowhere"),
        (f"--i-know 1 {FOLDS} exp/exp1", "'1' is neither true nor false"),
    ],
    "score-trials": [
        ("data/voxceleb1_test/trials", "Missing argument 'EMBEDDINGS-R'"),
        ("nowhere scp:exp/resnet34/test.scp", "nowhere"),
        ("bad/empty scp:exp/resnet34/test.scp", "bad/empty"),
        ("bad/trials scp:exp/resnet34/test.scp", "bad/trials:1"),
        ("data/voxceleb1_test/trials exp/resnet34/test.scp", "'EMBEDDINGS-R': bad rspecifier 'exp/resnet34/test.scp'"),
        ("data/voxceleb1_test/trials scp:nowhere.scp", "nowhere.scp"),
        ("data/voxceleb1_test/trials scp:exp/resnet34/train.scp", "has no embedding of any utterance"),
        ("data/voxceleb1_test/trials scp:data/test/feats.scp", "feats"),
        ("bad/own-trials scp:exp/resnet34/train.scp", "test segment trainspk0-0 and 2 more in its training"),
        ("--mean scp:nowhere.scp data/voxceleb1_test/trials scp:exp/resnet34/test.scp", "nowhere.scp"),
        ("--max-skip 2 data/voxceleb1_test/trials scp:exp/resnet34/test.scp", "--max-skip"),
    ],
    "compare-scores": [
        ("exp/folds/utt2label exp/transfer", "Missing argument 'B...'"),
        ("nowhere exp/transfer exp/scratch", "nowhere"),
        ("exp/folds/utt2label exp/transfer exp/nowhere", "exp/nowhere"),
        ("exp/folds/utt2label exp/transfer ark:bad/empty", "bad/empty"),
        ("exp/folds/utt2label exp/transfer ark:bad/cut-scores.ark", "bad/cut-scores.ark"),
        ("folds/utt2label exp/transfer exp/scratch", "wanted are ang sad"),
        ("--clusters nowhere exp/folds/utt2label exp/transfer exp/scratch", "nowhere"),
        ("--labels bad/empty exp/folds/utt2label exp/transfer exp/scratch", "bad/empty"),
        ("--seed -1 exp/folds/utt2label exp/transfer exp/scratch", "--seed"),
    ],
    "make-report": [
        ("exp", "Missing argument 'OUT'"),
        ("nowhere report", "nowhere"),
        ("data report", "data"),
        ("--audio true exp/exp1 report", "--audio true needs --data DIR"),
        ("--data nowhere exp/exp1 report", "nowhere"),
        ("--mistakes many exp/exp1 report", "'many' is not a valid integer"),
        ("exp/exp1 wav.scp", "wav.scp"),
    ],
    "classify-audio": [
        ("", "Missing argument 'MODEL'"),
        (MODEL, "Missing argument 'AUDIO…'"),
        ("nowhere.pt interview.wav", "nowhere.pt"),
        ("interview.wav interview.wav", "interview.wav: not a model file"),
        ("bad/cut.pt interview.wav", "bad/cut.pt"),
        (f"{MODEL} nowhere.wav", "nowhere.wav: no such file or folder"),
        (f"{MODEL} conf", "conf: no recordings in this folder"),
        (f"{MODEL} bad/noise", "bad/noise: nothing was processed (1 read, 1 skipped)"),
        (f"{MODEL} bad/empty", "bad/empty: nothing was processed (1 read, 1 skipped)"),
        (f"{MODEL} {MODEL}", f"{MODEL}: nothing was processed"),
        (f"--format xml {MODEL} interview.wav", "'xml' is not one of"),
        (f"--device cuda:99 {MODEL} interview.wav", "--device cuda:99"),
        (f"--num-threads 0 {MODEL} interview.wav", "--num-threads"),
    ],
}  # fmt: skip
MISUSE = (
    "Missing argument",
    "requires an argument",
    "not a valid",
    "neither true nor false",
    "' is not one of '",
    "go together",
)


def make_bad(here: Path):
    """bad/: files that are not what they should be."""
    bad = here / "bad"
    bad.mkdir()
    texts = {
        "empty": "", "one-column": "a\n", "missing.scp": "a interview.wav\nb nowhere.wav\n",
        "noise.scp": "a bad/noise\nb bad/noise\n", "backwards": "a Ses1F-ang 0.4 0.1\n", "strangers": "stranger x\n",
        "offset.scp": "a fbank.ark:99999999\n", "unknown-map": "ang ang\nbored neu\n",
        "unknown.conf": "--epochs=2\n--epoch=2\n", "trials": "a b maybe\n",
        "own-trials": "trainspk0-0 trainspk0-1 target\ntrainspk0-0 trainspk1-1 nontarget\n",
        "one-label": "".join(f"{line.split()[0]} x\n" for line in (here / "utt2spk").read_text().splitlines()),
        "narrow.ark": "a [ 1 2 3\n 4 5 6 ]\nb [ 1 2 3\n 3 2 1 ]\n", "narrow-labels": "a x\nb y\n",
        "nan.ark": "a [ 1 2 nan 4\n 1 2 3 4 ]\n",
    }  # fmt: skip
    for name, text in texts.items():
        (bad / name).write_text(text)
    (bad / "noise").write_bytes(bytes(range(256)) * 8)
    (bad / "pickle.ark").write_bytes(b"a PKL\x80\x04N.")
    cut = {
        "cut.ark": "fbank.ark",
        "cut.pt": MODEL,
        "cut-scores.ark": "exp/exp1/1/scores.ark",
        "cut-draws.ark": "draws.ark",
    }
    for name, source in cut.items():
        content = (here / source).read_bytes()
        (bad / name).write_bytes(content[: len(content) - 10])
    for name in ("ark", "scp", "manifest"):
        shutil.copy(here / f"fbank.{name}", bad / f"changed.{name}")
    content = bytearray((bad / "changed.ark").read_bytes())
    content[-1] ^= 1
    (bad / "changed.ark").write_bytes(content)
    script = (bad / "changed.scp").read_text()
    (bad / "changed.scp").write_text(script.replace(" fbank.ark", " bad/changed.ark"))
    labels = (here / "exp/folds/utt2label").read_text()
    (bad / "unknown-labels").write_text(labels.replace(" ang\n", " bored\n"))
    folders = {
        "data": {"utt2spk": "a-1 a extra\n", "wav.scp": "a-1 interview.wav\n", "utt2label": "a-1\n"},
        "disjoint": {"utt2spk": "a-1 a\n", "wav.scp": "b-1 interview.wav\n"},
        "twice": {"utt2spk": "a b\na c\n", "wav.scp": "a interview.wav\n"},
        "one-dialog": {"utt2label": "a ang\nb ang\n", "utt2session": "a 1\nb 2\n"},
    }
    for folder, lists in folders.items():
        (bad / folder).mkdir()
        for name, text in lists.items():
            (bad / folder / name).write_text(text)


@pytest.fixture(scope="module")
def place(made, tmp_path_factory):
    """A copy of the sandbox with bad/ in it."""
    folder = tmp_path_factory.mktemp("wrong") / "box"
    shutil.copytree(made, folder)
    make_bad(folder)
    return folder


def files(folder: Path) -> dict:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("binary", "words", "said"), [(name, *one) for name, many in CALLS.items() for one in many])
def test_a_wrong_call_is_one_clear_line_and_changes_nothing(call, place, monkeypatch, binary, words, said):
    monkeypatch.chdir(place)
    before = files(place)
    result = call(binary, *shlex.split(words), code=None)
    assert result.code == 2 if any(piece in result.err for piece in MISUSE) else result.code in (1, 2)
    lines = result.err.splitlines()
    errors = [line for line in lines if line.startswith(f"{binary}: ERROR: ")]
    assert len(errors) == 1 and said in errors[0], result.err
    assert all(line.startswith(f"{binary}: ") for line in lines), result.err
    assert len([line for line in lines if ": WARNING: " not in line]) <= 2, result.err
    assert result.out == b"" or binary in ("validate-data", "classify-audio")
    assert files(place) == before


def test_every_binary_has_its_wrong_calls():
    binaries = {path.name for path in (ROOT / "bin").iterdir()} - {"launch"}
    assert set(CALLS) == binaries and min(map(len, CALLS.values())) >= 5
