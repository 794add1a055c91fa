from pathlib import Path

import pytest

from sertk.datadir.lists import read_list, read_names, write_list
from sertk.errors import SertkError


def test_a_list_is_read_in_its_order(here):
    Path("l").write_text("b 1\na  2 \n\tc\t3\n")
    assert list(read_list("l").items()) == [("b", "1"), ("a", "2"), ("c", "3")]


def test_values_of_several_words_keep_their_inner_space(here):
    Path("l").write_text('a sox "x  y" |\n')
    assert read_list("l", None) == {"a": 'sox "x  y" |'}


def test_four_columns_are_read(here):
    Path("l").write_text("a r 0 1.5\n")
    assert read_list("l", 4) == {"a": "r 0 1.5"}


@pytest.mark.parametrize(
    "data, columns, message",
    [
        (None, 2, "l: cannot be read: No such file"),
        (b"", 2, "l: is empty"),
        (b"a\n", 2, "l:1: 1 columns, expected 2"),
        (b"a 1\nb 2 3\n", 2, "l:2: 3 columns, expected 2"),
        (b"a 1\n\n", 2, "l:2: an empty line"),
        (b"a 1\nb 2\na 1\n", 2, "l:3: key a comes twice"),
        (b"a 1\nb \xff\n", 2, r"l:2: not UTF-8 \(byte 2 of the line\)"),
        (b"a 1\r\n", 2, "l:1: the line ends in CR LF"),
        (b"a\0 1\n", 2, "l:1: a NUL byte"),
        (b"a\n", None, "l:1: 'a' has a key and no value"),
        (b"a r 0\n", 4, "l:1: 3 columns, expected 4"),
        (b"\xef\xbb\xbfa 1\n", 2, "l:1: begins with a byte order mark"),
    ],
)
def test_a_bad_list_gives_one_line_with_file_and_line(here, data, columns, message):
    if data is not None:
        Path("l").write_bytes(data)
    with pytest.raises(SertkError, match=message) as error:
        read_list("l", columns)
    assert "\n" not in str(error.value)


def test_names_are_the_first_column(here):
    Path("l").write_text("b\n\n a 1 2\nb\n")
    assert read_names("l") == {"a", "b"}
    Path("l").write_text("\n")
    with pytest.raises(SertkError, match="l: is empty"):
        read_names("l")


def test_a_folder_is_no_list(here):
    with pytest.raises(SertkError, match="Is a directory"):
        read_list(".")


def test_a_list_is_written_in_the_order_of_bytes_and_read_back(here):
    values = {"b": "1", "B": "2", "é": "3", "_": "4", "\U0001f600": "5", "日": "6"}
    write_list("l", values)
    assert list(read_list("l")) == sorted(values, key=str.encode) and read_list("l") == values
    assert list(here.iterdir()) == [here / "l"]


@pytest.mark.parametrize(
    "key, value", [("", "x"), ("a b", "x"), ("a\n", "x"), ("a", ""), ("a", " "), ("a", "x\ny"), ("\udc80", "x")]
)
def test_what_could_not_be_read_back_is_not_written(here, key, value):
    with pytest.raises(SertkError, match=r"^l: "):
        write_list("l", {key: value})
    assert not list(here.iterdir())
