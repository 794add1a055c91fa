"""score-trials as a user calls it."""

import json

import numpy as np
import pytest

from sertk.kaldi.tables import table_writer
from sertk.scoring.speaker import eer, min_dcf


class Speakers:
    """Four speakers of five utterances, every pair a trial; 20 dimensions, moved away from the origin."""

    def __init__(self, root):
        self.root, rng = root, np.random.default_rng(0)
        voices = rng.normal(0, 1, (4, 20))
        self.vectors = {
            f"id{s}-vid-{n}": (voices[s] + rng.normal(0, 1.2, 20) + 2).astype(np.float32)
            for s in range(4)
            for n in range(5)
        }
        names = list(self.vectors)
        self.pairs = [(a, b, a[:3] == b[:3]) for i, a in enumerate(names) for b in names[i + 1 :]]
        self.settings = {"trained_on": {"keys": ["libri-1"], "speakers": ["libri"]}}
        self.list = root / "trials"
        self.list.write_text("".join(f"{a} {b} {'target' if t else 'nontarget'}\n" for a, b, t in self.pairs))
        listed = [*((name, name[:3]) for name in names), ("libri-1", "libri")]
        (root / "utt2spk").write_text("".join(f"{name} {speaker}\n" for name, speaker in listed))

    def write(self):
        with table_writer(
            f"ark,scp:{self.root}/e.ark,{self.root}/e.scp", kind="vector", settings=self.settings
        ) as write:
            for name, vector in self.vectors.items():
                write(name, vector)
        return f"scp:{self.root}/e.scp"

    def scores(self, mean=0.0):
        rows = {name: vector.astype(float) - mean for name, vector in self.vectors.items()}
        rows = {name: row / np.linalg.norm(row) for name, row in rows.items()}
        scored = [(rows[a] @ rows[b], t) for a, b, t in self.pairs]
        return [s for s, t in scored if t], [s for s, t in scored if not t]


@pytest.fixture
def made(tmp_path):
    return Speakers(tmp_path)


def test_the_line_has_eer_and_both_costs(call, made, tmp_path):
    result = call("score-trials", "--json", tmp_path / "r.json", made.list, made.write())
    targets, nontargets = made.scores()
    value, costs = eer(targets, nontargets), [min_dcf(targets, nontargets, p) for p in (0.01, 0.05)]
    low, high = (100 * end for end in json.loads((tmp_path / "r.json").read_text())["interval"]["eer"])
    assert low < 100 * value < high
    assert result.text == (
        f"%EER {100 * value:.2f} minDCF(0.01) {costs[0]:.4f} minDCF(0.05) {costs[1]:.4f} "
        f"[ 190 trials, 40 target, cosine, 95 % of the EER {low:.2f}-{high:.2f} "
        "by 4 speakers (rough: fewer than 5 units), no leak ]\n"
    )
    assert result.err == ""
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["eer"] == pytest.approx(value, abs=1e-9) and found["min_dcf"]["0.05"] == pytest.approx(costs[1])


def test_speakers_outside_the_lists_leave_trials_unchecked(call, made):
    table = made.write()
    assert call("score-trials", made.list, table).text.endswith(", no leak ]\n")
    made.list.with_name("utt2spk").write_text("".join(f"{name} {name[:3]}\n" for name in made.vectors))
    result = call("score-trials", made.list, table)
    assert result.text.endswith(", leaks unchecked ]\n")
    assert "its model had training speakers outside the test set's lists (libri)" in result.err


def test_voxcelebs_list_gives_the_same_figures(call, made, tmp_path):
    path = tmp_path / "veri_test2.txt"
    files = {name: f"{name.replace('-', '/')}.wav" for name in made.vectors}
    path.write_text("".join(f"{int(t)} {files[a]} {files[b]}\n" for a, b, t in made.pairs))
    table = made.write()
    assert call("score-trials", path, table).out == call("score-trials", made.list, table).out


def test_a_mean_is_subtracted_and_said(call, made):
    table = made.write()
    result = call("score-trials", "--mean", table, made.list, table)
    mean = np.mean([vector.astype(float) for vector in made.vectors.values()], axis=0)
    assert result.text.startswith(f"%EER {100 * eer(*made.scores(mean)):.2f} ")
    assert "cosine, mean subtracted" in result.text


def test_trials_without_embedding_are_counted_and_too_many_fail(call, made):
    del made.vectors["id0-vid-0"]
    table = made.write()
    result = call("score-trials", made.list, table, code=1)
    assert "19 of 190 trials have no embedding (id0-vid-0, …), more than --max-skip=0.05" in result.err
    result = call("score-trials", "--max-skip", 0.1, made.list, table)
    assert "171 trials, 36 target, cosine, 19 left out" in result.text
    assert "WARNING: id0-vid-0: no embedding" in result.err


def test_pairs_listed_again_are_told(call, made):
    made.list.write_text(made.list.read_text() + made.list.read_text().splitlines()[0] + "\n")
    assert "191 trials, 41 target, cosine, 1 repeated" in call("score-trials", made.list, made.write()).text


def test_training_utterances_are_refused_or_stamped(call, made):
    made.settings["trained_on"]["keys"].append("id2-vid-3")
    table = made.write()
    result = call("score-trials", made.list, table, code=1)
    assert "test segment id2-vid-3 in its training" in result.err and result.err.count("\n") == 1
    assert call("score-trials", "--i-know", "true", made.list, table).text.endswith("] LEAKY\n")


def test_training_speakers_are_refused_if_utt2spk_names_them(call, made):
    made.settings["trained_on"]["speakers"].append("id1")
    table = made.write()
    result = call("score-trials", "--utt2spk", made.root / "utt2spk", made.list, table, code=1)
    assert "test speaker id1 in its training" in result.err
    # The map beside the list is found; without one it is said that nobody looked.
    assert call("score-trials", made.list, table, code=1).err == result.err
    (made.root / "utt2spk").unlink()
    result = call("score-trials", "--json", made.root / "r.json", made.list, table)
    assert "leaks unchecked ]" in result.text and "no utt2spk" in result.err
    assert json.loads((made.root / "r.json").read_text())["guard"] == "unchecked"


def test_embeddings_that_do_not_say_their_training_are_marked(call, made):
    made.settings = {}
    result = call("score-trials", "--stamp", "SIMULATED", made.list, made.write())
    assert result.text.endswith("leaks unchecked ] SIMULATED\n") and "no manifest records" in result.err


def test_stamps_beside_trials_are_added(call, made):
    (made.list.parent / "PARTIAL").write_text("a folder is missing\n")
    result = call("score-trials", "--stamp", "SIMULATED", made.list, made.write())
    assert result.text.endswith("] SIMULATED PARTIAL\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{}/none", "scp:{}/e.scp"], 1, "none: cannot be read"),
        (["{}/trials", "scp:{}/none.scp"], 1, "none.scp"),
        (["{}/trials", "{}/e.scp"], 2, "bad rspecifier"),
        (["{}/utt2spk", "scp:{}/e.scp"], 1, "utt2spk:1: 'id0-vid-0 id0' is not a trial"),
        (
            ["--utt2spk", "{}/short", "{}/trials", "scp:{}/e.scp"],
            1,
            "short: id0-vid-1 is in the trials and not in this map",
        ),
        (["--mean", "ark:false |", "{}/trials", "scp:{}/e.scp"], 1, "false"),
        (["{}/trials"], 2, "EMBEDDINGS-R"),
        (["{}/targets", "scp:{}/e.scp"], 1, "targets: all 40 trials are target"),
    ],
)
def test_wrong_calls_are_one_line_each(call, made, arguments, code, message):
    made.write()
    (made.root / "short").write_text("id0-vid-0 id0\n")
    targets = [line for line in made.list.read_text().splitlines(keepends=True) if line.endswith(" target\n")]
    (made.root / "targets").write_text("".join(targets))
    result = call("score-trials", *[word.format(made.root) for word in arguments], code=code)
    assert message in result.err and result.err.count("\n") == 1 and result.out == b""
