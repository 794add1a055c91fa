"""Predictions of other toolkits: which segment a row is about, and what it makes of the classes."""

import json

import pytest

from sertk.errors import SertkError
from sertk.scoring.foreign import read_predictions
from sertk.scoring.segmentnames import Names

CLASSES = ("ang", "hap", "neu")


MAP = {"angry": "ang", "happy": "hap", "excited": "hap", "neutral": "neu"}


KEYS = ("a-1", "b-2")


PATHS = {"a-1": "/corpus/x/1.wav", "b-2": "/corpus/y/2.wav"}


def table(folder, content, name="p.csv"):
    (folder / name).write_text(content if isinstance(content, str) else "\n".join(map(json.dumps, content)))
    return folder / name


def read(path, keys=KEYS, **options):
    return read_predictions([path], Names(keys, PATHS), CLASSES, **{"label_map": MAP} | options)


# Two segments as each toolkit has them: 0.7 angry, 0.1 happy, 0.1 excited, 0.1 neutral; and neutral for sure.
NKULULEKO = """file,start,end,angry,happy,excited,neutral,predicted,truth,uncertainty
/other/x/1.wav,0 days,NaT,0.7,0.1,0.1,0.1,angry,neutral,0.2
/other/y/2.wav,0 days,NaT,0,0,0,1,neutral,neutral,0
"""


PIPELINE = [
    {"file": "1.flac", "result": [{"label": label, "score": score} for label, score in scores.items()]} | name
    for scores, name in (
        ({"angry": 0.7, "happy": 0.1, "excited": 0.1, "neutral": 0.1}, {}),
        ({"neutral": 1.0, "angry": 0.0}, {"file": "y/2.wav"}),
    )
]


FUNASR = [
    {"key": "1", "labels": ["angry", "happy", "excited", "neutral"], "scores": [0.7, 0.1, 0.1, 0.1]},
    {"key": "2", "labels": ["neutral"], "scores": [1.0]},
]


OWN = [
    {"file": "x/1.wav", "emotion": "ang", "probabilities": {"ang": 0.7, "hap": 0.2, "neu": 0.1}},
    {"file": "y/2.wav", "emotion": "neu", "probabilities": {"ang": 0, "hap": 0, "neu": 1}},
]


LONG = "file,label,score\n1,angry,.7\n1,happy,.1\n1,excited,.1\n1,neutral,.1\n2,neutral,1\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [(NKULULEKO, "p.csv"), (PIPELINE, "p.jsonl"), (FUNASR, "p.jsonl"), (OWN, "p.jsonl"), (LONG, "p.csv")],
)
def test_every_toolkits_form_is_read(tmp_path, content, name):
    posteriors = read(table(tmp_path, content, name))
    assert posteriors.vectors["a-1"] == pytest.approx([0.7, 0.2, 0.1])
    assert posteriors.vectors["b-2"] == pytest.approx([0, 0, 1])
    assert posteriors.outside == 0


def test_pipelines_saved_as_one_object_are_read(tmp_path):
    content = {"x/1.wav": [{"label": "angry", "score": 1.0}], "y/2.wav": [{"label": "happy", "score": 1.0}]}
    vectors = read(table(tmp_path, [content], "p.json")).vectors
    assert [vectors[key].tolist() for key in KEYS] == [[1, 0, 0], [0, 1, 0]]


def test_a_label_alone_has_all_probability(tmp_path):
    path = table(tmp_path, "utt,emotion,predictions\na-1,neutral,angry\nb-2,neutral,excited\nc-3,neutral,angry\n")
    posteriors = read(path)
    assert [posteriors.vectors[key].tolist() for key in KEYS] == [[1, 0, 0], [0, 1, 0]]
    assert posteriors.others == 1


def test_the_best_labels_alone_leave_the_rest_to_others(tmp_path):
    """Hugging Face's top_k: what is missing to 1 is shared by the classes that are not named."""
    rows = [
        {"file": "1", "p": [{"label": "angry", "score": 0.8}]},
        {"file": "2", "p": [{"label": "angry", "score": 1}]},
    ]
    vectors = read(table(tmp_path, rows, "p.jsonl")).vectors
    assert vectors["a-1"] == pytest.approx([0.8, 0.1, 0.1])


def test_what_columns_lack_to_1_is_not_shared(tmp_path):
    """Unlike the best labels of a list, a row of columns has all labels: the rest is of columns that are no classes."""
    posteriors = read(table(tmp_path, "file,Angry,hap,neu\n1,0.7,0.2,0.1\n2,0.5,0.5,0\n"))
    assert posteriors.vectors["a-1"] == pytest.approx([0, 2 / 3, 1 / 3]) and posteriors.outside == 2


def test_other_labels_are_left_out_and_counted(tmp_path):
    rows = [{"key": str(n), "labels": ["angry", "neutral", "<unk>"], "scores": [0.3, 0.2, 0.5]} for n in (1, 2)]
    posteriors = read(table(tmp_path, rows, "p.jsonl"))
    assert posteriors.vectors["a-1"] == pytest.approx([0.6, 0, 0.4]) and posteriors.outside == 2


def test_logits_are_softmaxed(tmp_path):
    path = table(tmp_path, "file,ang,hap,neu\n1,0,0,0\n2,-1000,1000,1000\n")
    vectors = read(path, logits=True).vectors
    assert vectors["a-1"] == pytest.approx([1 / 3] * 3) and vectors["b-2"] == pytest.approx([0, 0.5, 0.5])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,ang,hap,neu\n1,1,0,0\n", r"no prediction for b-2$"),
        ("file,ang,hap,neu\n1,1,0,0\n1,1,0,0\n", r"p.csv:3: a-1 comes twice \(also .*p.csv:2\)"),
        (
            "file,ang,hap,neu\n1,.5,.5,.5\n2,1,0,0\n",
            r"p.csv:2: a-1: not probabilities \(lowest 0.5, sum 1.5\); --logits",
        ),
        ("file,ang,hap,neu\n1,0,0,0\n2,1,0,0\n", "p.csv:2: a-1: all probabilities are 0"),
        ("file,ang,hap,neu\n1,nan,0,0\n", "p.csv:2: the score of ang is NaN"),
        ("file,ang,hap,neu\n1,x,0,0\n", "p.csv:2: 'x' of ang is not a number"),
        ("file,label\n1,bored\n2,angry\n", r"p.csv:2: a-1: label 'bored' is none of ang hap .*--label-map FILE"),
        ("file,label\n1,\n", "p.csv:2: no prediction: neither columns ang hap neu nor a label"),
        ("clip,label\n1,angry\n", r"p.csv:2: no column id or key or .*--columns file=NAME"),
        ("file,label\n1,angry,x\n", "p.csv:2: 3 columns where the header has 2"),
        (
            "file,label,score\n1,angry,1\n1,angry,1\n",
            "p.csv:3: a-1: label 'angry' comes twice|label 'angry' comes twice",
        ),
    ],
)
def test_bad_rows_are_one_line(tmp_path, content, message):
    with pytest.raises(SertkError, match=message) as error:
        read(table(tmp_path, content))
    assert "\n" not in str(error.value)


def test_files_without_a_data_folder_are_hinted_at(tmp_path):
    path = table(tmp_path, "file,label\nx/1.wav,angry\n")
    with pytest.raises(SertkError, match=r"2 segments have none\); 1 rows are about others \(.*needs --data\)$"):
        read_predictions([path], Names(KEYS), CLASSES, MAP)


def test_spaces_in_a_files_name_are_kept(tmp_path):
    names = Names(["a"], {"a": "/corpus/x  1.wav"})
    vectors = read_predictions([table(tmp_path, "file,label\n x  1.flac ,hap\n")], names, CLASSES).vectors
    assert vectors["a"].tolist() == [0, 1, 0]
