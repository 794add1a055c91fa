"""Rows of CSV, TSV, JSON and JSON Lines."""

import pytest

from sertk.datadir.records import read_json, read_records, write_json
from sertk.errors import SertkError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'file,emotion\n"x, y.wav",ang\nz.wav,\n'),
        ("a.csv", '\ufefffile;emotion\r\n"x, y.wav";ang\r\n\r\nz.wav;\r\n'),
        ("a.tsv", "file\temotion\nx, y.wav\tang\nz.wav\t\n"),
        ("a.jsonl", '{"file": "x, y.wav", "emotion": "ang"}\n\n{"file": "z.wav", "emotion": ""}\n'),
        ("a.json", '[{"file": "x, y.wav", "emotion": "ang"}, {"file": "z.wav", "emotion": ""}]'),
    ],
)
def test_every_form_gives_the_same_rows(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    rows = [dict(record.values) for record in read_records(path)]
    assert rows == [{"file": "x, y.wav", "emotion": "ang"}, {"file": "z.wav", "emotion": ""}]


def test_keys_of_an_object_are_a_column(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"u1": {"wav": "x.wav"}, "u2": {"wav": "y.wav"}}')
    assert [record.values["key"] for record in read_records(path)] == ["u1", "u2"]


def test_a_row_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("file,emotion\nx.wav\ny.wav,ang\n")
    assert [(record.where, record.problem) for record in read_records(path)] == [
        (f"{path}:2", "1 columns where the header has 2"),
        (f"{path}:3", ""),
    ]
    lines = tmp_path / "a.jsonl"
    lines.write_text("[1]\n")
    assert [record.problem for record in read_records(lines)] == ["not a JSON object"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"a\0b", "a NUL byte"),
        ("a.csv", b"file\n\xff\n", "not UTF-8"),
        ("a.csv", b"file,file\nx,y\n", "column 'file' comes twice"),
        ("a.jsonl", b"{x}\n", "a.jsonl:1: not JSON"),
        ("a.json", b"3", "neither a list of objects nor"),
        ("a.json", b"[" * 100000, "not JSON"),
    ],
)
def test_a_file_that_is_no_table_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SertkError, match=message) as error:
        list(read_records(tmp_path / name))
    assert "\n" not in str(error.value)
    with pytest.raises(SertkError, match="cannot be read"):
        list(read_records(tmp_path / "missing.csv"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"", "not JSON: "),
        (b"[1]", "not a JSON object"),
        (b'"\xff"', "not UTF-8 (byte 1)"),
        (b"[" * 100_000, "not JSON: "),
    ],
)
def test_a_file_that_is_no_json_object_is_named(tmp_path, content, said):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SertkError) as error:
        read_json(path)
    assert str(error.value).startswith(f"{path}: {said}")
    path.write_text('{"a": 1}')
    assert read_json(path) == {"a": 1}


def test_an_object_is_read_as_it_was_written(tmp_path):
    content = {"labels": ["悲しい"], "interval": [0.25, None]}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "a.json") == content and "悲しい" in text and text.endswith("}\n")
