"""make-report as a user calls it."""

import json
import re
import shutil
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from report_folder import make
from support import ROOT

from sertk.kaldi.tables import read_manifest, read_table, table_writer


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    make(root, stamps=("SIMULATED",))
    return root


@pytest.fixture(scope="module")
def page(original):
    """The page, its Markdown and its folder, made once."""
    from sertk.report.build import Choices, build_report
    from sertk.report.render import write_report

    out = original / "out"
    write_report(build_report(original / "exp", Choices(data=original / "data")), out)
    return (out / "report.html").read_text(), (out / "report.md").read_text(), out


@pytest.fixture
def made(original, tmp_path):
    """A copy that a test may spoil."""
    shutil.copytree(original / "exp", tmp_path / "exp")
    return tmp_path


class Reader(HTMLParser):
    """Checks that tags are closed in order, and collects ids, references and addresses."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "wbr"})

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.targets, self.addresses = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            elif name in ("src", "href", "xlink:href", "action", "srcset", "data"):
                (self.targets if value.startswith("#") else self.addresses).append(value)
            elif name == "aria-labelledby":
                self.targets += [f"#{word}" for word in value.split()]

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_names_nothing_twice(page):
    read = Reader(page[0])
    assert sorted(read.ids) == sorted(set(read.ids))
    assert {target[1:] for target in read.targets} <= set(read.ids)


def test_nothing_is_fetched_from_elsewhere(page):
    read = Reader(page[0])
    assert all(address.startswith("data:") for address in read.addresses)
    assert all(inside.startswith("#") for inside in re.findall(r"url\(['\"]?([^)'\"]*)", page[0]))
    assert "@import" not in page[0] and not re.search(r"\b(fetch|XMLHttpRequest|import)\s*\(", page[0])


def test_every_title_of_a_table_or_figure_carries_the_stamp(page):
    html, text, _ = page
    titles = [found[1] for found in re.findall(r"<(h3|h1)\b[^>]*>(.*?)</\1>", html, re.S)]
    assert len(titles) > 20 and all("SIMULATED</strong>" in title for title in titles)
    assert "<title>Emotions from speech: Exp 1, Exp 3 [SIMULATED]</title>" in html
    assert text.startswith("# Emotions from speech: Exp 1, Exp 3 [SIMULATED]\n")
    # A figure that is copied out of the page keeps the word.
    assert all("SIMULATED" in svg for svg in re.findall(r"<svg.*?</svg>", html, re.S))


def test_table_3_has_published_rows_and_those_of_results_json(page, original):
    text = page[1]
    found = json.loads((original / "exp" / "exp1" / "results.json").read_text())
    ours = next(line for line in text.splitlines() if "sertk: frozen trunk, new head (exp1)" in line).split("|")
    mean, deviation, pooled = found["mean"], found["deviation"], found["pooled"]
    low, high = (100 * end for end in found["intervals"]["utt2spk"]["wa"])
    wanted = [100 * mean["ua"], 100 * deviation["ua"], 100 * mean["wa"], 100 * deviation["wa"]]
    assert [cell.strip(" *") for cell in ours[2:6]] == [f"{value:.2f}" for value in wanted]
    assert ours[7].strip(" *") == f"{100 * pooled['wa']:.1f} ({low:.1f}–{high:.1f})"
    assert "| BLSTM + attention \\[18\\] | 49.96 | – | 59.33 |" in text
    assert "| Padi et al. 2021: the system rebuilt here | 64.14 | – | 63.61 |" in text
    assert "| emotion2vec | – | – | 71.79 |" in text
    assert "say nothing about people" in text


def test_table_2_and_figure_3_have_the_counts(page, original):
    assert "| Exp 3 | hap | 40 | 1636 | -1596 |" in page[1]
    found = json.loads((original / "exp" / "exp3" / "results.json").read_text())["confusion"]
    cells = [f"{n} ({100 * part:.1f} %)" for n, part in zip(found["counts"][1], found["rows"][1])]
    assert f"| Exp 3 | hap | {' | '.join(cells)} |" in page[1]


def test_every_figure_is_a_png_and_a_pdf_beside_the_markdown(page):
    names = re.findall(r"\]\((figures/[^)]*)\)", page[1])
    assert {name[-3:] for name in names} == {"png", "pdf"}
    for name in names:
        head = (page[2] / name).read_bytes()[:8]
        assert head.startswith(b"%PDF-") if name.endswith("pdf") else head == b"\x89PNG\r\n\x1a\n"


def test_the_same_folder_gives_the_same_page(call, original, page, tmp_path):
    result = call("make-report", "--data", original / "data", original / "exp", tmp_path / "out")
    assert result.err == f"make-report: wrote {tmp_path}/out/report.html\n"
    assert (tmp_path / "out" / "report.html").read_text() == page[0]


def test_a_system_that_was_trained_and_not_scored_is_named(made):
    from sertk.report.build import _absent

    (made / "exp" / "exp3" / "results.json").unlink()
    (made / "exp" / "exp3" / "1" / "final.pt").touch()
    said = [item.text for item in _absent(made / "exp", None, None, None).items]
    assert said[0] == "exp3: has models but no results.json (run score-loso --json)."


def test_what_people_said_is_text_and_never_markup(page):
    html, text, _ = page
    assert "<b>|" not in html and "&lt;b&gt;|4|&lt;/b&gt;" in html
    assert "well \\<b\\>\\|4\\|\\</b\\>" in text


def test_figure_2_shows_every_policy_on_a_segment_of_the_data(page):
    assert "Spectrogram of Ses01F-Ses01F_impro01_F000 unmasked" in page[0]
    assert "| aggressive | 27 | 70 | 0.2 | 2 | 2 | bins " in page[1]


def test_what_is_not_there_is_said(page, call, original, tmp_path):
    assert "Figure 4: no ablation results in exp/ablation." in page[1]
    call("make-report", "--mistakes", 0, original / "exp" / "exp1_scratch", tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "no data folder was given (--data)" in text and "## Most confident errors" not in text
    assert "without transfer (exp1_scratch)" in text.replace("\\", "") and "frozen trunk" not in text
    assert "needs --data" in call("make-report", "--audio", "true", original / "exp", tmp_path / "out", code=2).err


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def retrain(folder, keys):
    """Write a fold's scores anew with a manifest that says that it was trained on `keys`."""
    settings = read_manifest(f"ark:{folder}/scores.ark").settings
    settings["trained_on"]["keys"] = keys
    vectors = list(read_table(f"ark:{folder}/scores.ark", kind="vector"))
    with table_writer(f"ark:{folder}/scores.ark", kind="vector", settings=settings) as write:
        for key, vector in vectors:
            write(key, vector)


def test_a_leak_is_refused_and_stamped_where_the_user_knows(call, made):
    folder = made / "exp" / "exp1" / "2"
    key = next(key for key, _ in read_table(f"ark:{folder}/scores.ark", kind="vector"))
    retrain(folder, [key])
    result = call("make-report", made / "exp", made / "out", code=1)
    assert f"test segment {key} in its training" in result.err and len(result.err.splitlines()) == 1
    assert not (made / "out").exists()
    call("make-report", "--i-know", "true", made / "exp", made / "out")
    text = (made / "out" / "report.md").read_text()
    assert text.startswith("# Emotions from speech: Exp 1, Exp 3 [LEAKY] [SIMULATED]\n")
    assert "**Table 3. Exp 3 (angry, happy + excited, neutral, sad) [SIMULATED]**" in text
    assert f"test segment {key} in its training" in text.replace("\\", "")


def test_experiments_of_different_schemes_are_refused(call, made):
    change(made / "exp" / "exp3" / "folds" / "scheme.json", part="improvised")
    result = call("make-report", made / "exp", made / "out", code=1)
    message = (
        "experiments of one report were scored with different schemes: exp1 by loso (all part) and exp3 by loso (impro"
    )
    assert message in result.err


def test_speaker_dependent_results_stand_beside_no_published(call, made):
    for name in ("exp1", "exp3"):
        change(made / "exp" / name / "folds" / "scheme.json", scheme="stratified", speaker_independent=False)
    call("make-report", made / "exp", made / "out")
    text = (made / "out" / "report.md").read_text()
    assert text.startswith("# Emotions from speech: Exp 1, Exp 3 [SIMULATED] [SPEAKER-DEPENDENT]\n")
    assert "BLSTM" not in text and "Published results are not shown" in text


def spoil_scores(folder):
    manifest = read_manifest(f"ark:{folder}/1/scores.ark")
    vectors = list(read_table(f"ark:{folder}/1/scores.ark", kind="vector"))
    with table_writer(f"ark:{folder}/1/scores.ark", kind="vector", settings=manifest.settings) as write:
        for key, vector in vectors:
            write(key, np.roll(vector, 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda exp: shutil.rmtree(exp), "exp: is not a folder"),
        (lambda exp: [path.unlink() for path in exp.glob("*/results.json")], "exp: no results.json of score-loso"),
        (lambda exp: (exp / "exp1" / "results.json").write_text("{"), "exp1/results.json: cannot be read"),
        (lambda exp: (exp / "exp1" / "results.json").write_text("[]"), "exp1/results.json: is not a JSON object"),
        (
            lambda exp: (exp / "exp1" / "results.json").write_text('{"confusion": 0}'),
            "exp1/results.json: not written by",
        ),
        (lambda exp: shutil.rmtree(exp / "exp1" / "folds"), "exp1: has results.json but no folds/utt2fold"),
        (lambda exp: (exp / "exp3" / "4" / "scores.ark").unlink(), "is in the test set but not scored"),
        (
            lambda exp: spoil_scores(exp / "exp1_scratch"),
            "exp1_scratch/results.json: does not match the current scores",
        ),
        (lambda exp: (exp / "exp1" / "5" / "train.jsonl").write_text("{}\n7\n"), "5/train.jsonl:2: not a JSON object"),
    ],
)
def test_what_is_missing_or_broken_is_named_in_one_line(call, made, damage, message):
    damage(made / "exp")
    result = call("make-report", made / "exp", made / "out", code=1)
    assert message in result.err and len(result.err.splitlines()) == 1
    assert not (made / "out").exists()


def test_help_needs_no_heavy_library(shell):
    line = "import sys, sertk.cli.make_report; print({'numpy', 'matplotlib', 'jinja2', 'torch'} & set(sys.modules) or 'none')"
    assert shell(f'{sys.executable} -c "{line}"', PYTHONPATH=str(ROOT)).text == "none\n"


def test_an_ablation_that_stands_alone_is_a_report(call, tmp_path):
    cell = tmp_path / "exp" / "ablation" / "exp1" / "transfer-masks-pooled" / "0"
    cell.mkdir(parents=True)
    (cell / "cell.json").write_text(
        '{"experiment": "exp1", "transfer": true, "masks": true, "pooling": true, "seed": 0}'
    )
    results = {"scheme": "stratified", "stamps": ["SPEAKER-DEPENDENT"], "folds": {"1": {"wa": 0.5}, "2": {"wa": 0.75}}}
    (cell / "results.json").write_text(json.dumps(results))
    call("make-report", tmp_path / "exp", tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| exp1 | TL + Aug + SP | 62.50 | 17.68 | 2 |" in text
    assert "SPEAKER-DEPENDENT" in text.splitlines()[0]
