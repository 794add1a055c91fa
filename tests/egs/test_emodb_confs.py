"""The settings that the real recipes keep in conf/, and their run.sh called wrongly."""

import importlib
import subprocess

import pytest
from support import ROOT

EGS = ROOT / "egs"
READERS = {
    "common/conf/fbank.conf": "make-fbank",
    "voxceleb/conf/speaker.conf": "train-resnet",
    "voxceleb/conf/margin.conf": "train-resnet",
    "voxceleb/conf/large-margin.conf": "train-resnet",
    "voxceleb/conf/perturb.conf": "perturb-data",
    "voxceleb/conf/trials.conf": "score-trials",
    "iemocap/conf/draws.conf": "embed-segments",
    "iemocap/conf/head.conf": "transfer-head",
    "iemocap/conf/scratch.conf": "train-resnet",
    "iemocap/conf/finetune.conf": "train-resnet",
    "emodb/conf/speaker.conf": "train-resnet",
    "emodb/conf/draws.conf": "embed-segments",
    "emodb/conf/head.conf": "transfer-head",
    "emodb/conf/scratch.conf": "train-resnet",
    "emodb/conf/finetune.conf": "train-resnet",
    "emodb/conf/speakers/fbank.conf": "make-fbank",
    "emodb/conf/speakers/speaker.conf": "train-resnet",
    "emodb/conf/speakers/draws.conf": "embed-segments",
    "emodb/conf/speakers/head.conf": "transfer-head",
    "benchmark/conf/draws.conf": "embed-segments",
    "benchmark/conf/head.conf": "transfer-head",
    "benchmark/conf/attentive.draws.conf": "embed-segments",
    "benchmark/conf/attentive.head.conf": "transfer-head",
    "benchmark/conf/linear.conf": "transfer-head",
    "benchmark/conf/scratch.conf": "train-resnet",
    "benchmark/conf/finetune.conf": "train-resnet",
    "benchmark/conf/level.fbank.conf": "make-fbank",
    "benchmark/conf/level.conf": "train-resnet",
    "benchmark/conf/level.finetune.conf": "train-resnet",
    "benchmark/conf/level.perturbed.conf": "train-resnet",
    "benchmark/conf/perturb.conf": "perturb-data",
    "benchmark/conf/level.draws.conf": "embed-segments",
    "benchmark/conf/level.head.conf": "transfer-head",
}
RECIPES = ["iemocap", "voxceleb", "emodb", "benchmark"]


def settings(path):
    lines = (line.partition("#")[0].strip() for line in (EGS / path).read_text().splitlines())
    return dict(line.removeprefix("--").split("=") for line in lines if line)


def test_every_conf_is_read_by_one_binary():
    found = {path.relative_to(EGS).as_posix() for recipe in RECIPES for path in (EGS / recipe).glob("conf/**/*.conf")}
    of_scripts = {
        "voxceleb/conf/paper.conf",
        "emodb/conf/paper.conf",
        "emodb/conf/ablation.conf",
        "iemocap/conf/ablation.conf",
    }
    assert found - of_scripts == set(READERS) - {"common/conf/fbank.conf"}


@pytest.mark.parametrize("conf", READERS)
def test_the_binary_knows_every_setting(conf):
    main = importlib.import_module(f"sertk.cli.{READERS[conf].replace('-', '_')}").main
    words = main._with_config(["--config", str(EGS / conf)])
    assert len(words) == len(settings(conf)) > 0


def test_the_benchmarks_heads_have_a_draw_for_each_epoch():
    for kind in ("", "level."):
        draws, head = (settings(f"benchmark/conf/{kind}{name}.conf") for name in ("draws", "head"))
        assert draws["draws"] == head["epochs"]


@pytest.mark.parametrize("conf", ["voxceleb/conf/speaker.conf", "iemocap/conf/scratch.conf"])
def test_the_papers_network_and_training_are_spelt_out(conf):
    assert settings(conf) == {
        "channels": "32",
        "blocks": "3,4,6,3",
        "pooling": "stats",
        "embedding-dim": "256",
        "activation": "prelu",
        "precision": "auto",
        "chunk-frames": "150,200,250,300",
        "augment": "none,conservative,aggressive",
        "padding": "repeat",
        "mask-scope": "chunk",
        "epochs": "20",
        "batch-size": "32",
        "learning-rate": "0.01",
        "hold-epochs": "8",
        "halve-every": "2",
        "momentum": "0.9",
        "weight-decay": "0",
    }


def test_the_paper_conf_names_the_two_real_recipes_own_settings():
    named = settings("emodb/conf/paper.conf")
    assert named.pop("train-per-speaker") == "0"
    for option, path in named.items():
        assert (EGS / "emodb" / path).is_file(), option
        assert "emodb" not in path


def test_voxcelebs_paper_conf_is_the_papers_training_alone():
    assert settings("voxceleb/conf/paper.conf") == {
        "perturb-conf": "", "speaker-conf": "conf/speaker.conf", "large-margin-conf": "",
    }  # fmt: skip


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["--stage"], "--stage needs a value", 2),
        (["--nosuch", "1"], "there is no option --nosuch", 2),
        (["--allow-partial", "yes"], "--allow-partial takes true or false", 2),
        (["DIR"], "unexpected argument 'DIR'", 1),
        (["--stage", "x"], "are numbers, not 'x'", 1),
    ],
)
def test_a_wrong_call_of_a_recipe_is_one_line(tmp_path, recipe, words, message, code):
    corpora = ["--emodb", "x"] if recipe == "benchmark" else []  # it has none of its own
    line = [EGS / recipe / "run.sh", *corpora, *words]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", RECIPES)
def test_help_names_every_option(tmp_path, recipe):
    script = EGS / recipe / "run.sh"
    done = subprocess.run([script, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "usage: ./run.sh" in done.stdout
    text = script.read_text()
    defaults = text[text.index('cmd.sh"') : text.index(". sertk_options.sh")].splitlines()[1:]
    names = [word.partition("=")[0] for line in defaults for word in line.split() if "=" in word]
    assert len(names) > 10
    for name in names:
        if name != "stamp":
            assert f"--{name.replace('_', '-')} " in done.stdout, name


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--emodb", "x"], "stage 1 needs --librispeech DIR, or --init MODEL"), (["--init", "x.pt"], "needs --emodb DIR")],
)
def test_emodb_needs_librispeech_only_without_init(tmp_path, words, message):
    (tmp_path / "x.pt").touch()
    words = [EGS / "emodb" / "run.sh", "--work", "work", *words]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and message in done.stderr


def test_a_missing_corpus_stops_the_recipe_in_its_first_stage(tmp_path):
    done = subprocess.run([EGS / "iemocap" / "run.sh", "--corpus", "nosuch", "--work", "work", "--stop-stage", "3"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        f"prepare-iemocap: ERROR: {tmp_path}/nosuch: no Session1 to Session5 in it (expected: the folder that holds them)"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("emodb --emodb x --init model --fbank-conf no.conf", "--fbank-conf: cannot read {egs}/emodb/no.conf"),
        ("emodb --emodb x --init no.pt", "--init: cannot read {here}/no.pt"),
        ("emodb --emodb x --librispeech y --speaker-conf no.conf", "--speaker-conf: cannot read {egs}/emodb/no.conf"),
        ("emodb --stage 6 --finetune-conf {here}", "--finetune-conf: cannot read {here}"),
        (
            "iemocap --init no.pt",
            "--init: cannot read {here}/no.pt (a speaker network, as egs/voxceleb/run.sh trains it)",
        ),
        ("iemocap --init model --draws-conf no.conf", "--draws-conf: cannot read {egs}/iemocap/no.conf"),
        ("iemocap --init model --scratch --scratch-conf no", "--scratch-conf: cannot read {egs}/iemocap/no"),
        ("iemocap --init model --exp 4", "conf/labels.exp4 is missing (--exp: there is no experiment 4)"),
        ("mini --exp 4", "{egs}/iemocap/conf/labels.exp4 is missing (--exp: there is no experiment 4)"),
        ("voxceleb --trials-conf no.conf", "--trials-conf: cannot read {egs}/voxceleb/no.conf"),
        ("voxceleb --perturb-conf no.conf", "--perturb-conf: cannot read {egs}/voxceleb/no.conf"),
    ],
)
def test_missing_settings_stop_a_recipe_before_it_starts(tmp_path, words, message):
    (tmp_path / "model").touch()
    recipe, *options = words.format(here=tmp_path).split()
    done = subprocess.run([EGS / recipe / "run.sh", *options, "--work", "work"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60)  # fmt: skip
    expected = f"run.sh: ERROR: {message.format(egs=EGS, here=tmp_path)}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
    assert not (tmp_path / "work").exists()


def test_settings_of_stages_that_do_not_run_are_not_needed(tmp_path):
    """Each recipe gets as far as its corpus."""
    (tmp_path / "model").touch()
    for words in (
        "emodb --init model --speaker-conf no.conf",
        "emodb --init model --stop-stage 7 --finetune-conf no.conf",
        "iemocap --init model --scratch-conf no.conf --finetune-conf no.conf",
        "voxceleb --perturb-conf= --large-margin-conf= --stop-stage 2 --speaker-conf no.conf",
    ):
        recipe, *options = words.split()
        done = subprocess.run([EGS / recipe / "run.sh", *options, "--work", "work"], cwd=tmp_path, capture_output=True,
                              text=True, timeout=60)  # fmt: skip
        assert done.returncode != 0 and "stage 1: " in done.stdout and "cannot read" not in done.stderr, words


def test_speaker_networks_are_not_trained_on_other_features(tmp_path):
    """run_speakers.sh: settings that are missing, and features of others, also those of a cell of its own."""
    for name in ("exp/emodb/folds", "data/speakers/train/feats", "data/speakers/all/level/feats"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "exp/emodb/folds/utt2fold").write_text("a 1\n")
    own = (EGS / "emodb/conf/speakers/fbank.conf").read_text()
    (tmp_path / "data/speakers/train/feats/fbank.conf").write_text(own)
    other = tmp_path / "data/speakers/all/level/feats/fbank.conf"
    other.write_text("--num-mel-bins=3\n")
    for words, message in (
        ("--conf nosuch", f"--conf: cannot read {tmp_path}/nosuch/fbank.conf"),
        ("--cells level --stage 2", f"{other.parent.parent}/feats.scp: computed with other settings ({other}) than "
         "conf/speakers/fbank.conf: start at stage 1, or give the same again"),
    ):  # fmt: skip
        line = [EGS / "emodb/local/run_speakers.sh", "--work", tmp_path, *words.split()]
        done = subprocess.run(list(map(str, line)), cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (1, f"run_speakers.sh: ERROR: {message}\n")
