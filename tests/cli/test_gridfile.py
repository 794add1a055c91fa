"""Grid files of transfer-head."""

import pytest

from sertk.cli.gridfile import read_grid
from sertk.cli.transfer_head import main
from sertk.errors import SertkError


def read(folder, text):
    (folder / "head.grid").write_text(text)
    return read_grid(folder / "head.grid", main.params)


def test_grid_is_read_in_its_order_with_types(tmp_path):
    grid = read(
        tmp_path,
        "# heads\n--learning_rate = 0.1, 0.01\n\n--embedding-dim=0,256  # linear too\n--class-weights=balanced\n",
    )
    assert grid.values == {"learning_rate": [0.1, 0.01], "embedding_dim": [0, 256], "class_weights": ["balanced"]}
    assert list(grid.values) == ["learning_rate", "embedding_dim", "class_weights"]


@pytest.mark.parametrize(("text", "message"), [
    ("--epochs=5\n--select=last,oracle\n", "head.grid:2: no setting of a grid: '--select=last,oracle' (possible: --"),
    ("epochs=5\n", "head.grid:1: no setting of a grid"),
    ("--epochs=5,0\n", "head.grid:1: --epochs: 0 is not in the range"),
    ("--epochs=5\n--epochs=6\n", "head.grid:2: --epochs comes twice"),
    ("--epochs=5,5\n", "head.grid:1: --epochs: a value comes twice"),
    ("--epochs=\n", "head.grid:1: --epochs: '' is not a valid integer"),
    ("--weight-decay=nan\n", "head.grid:1: --weight-decay: nan is not a finite number"),
    ("--class-weights=some\n", "head.grid:1: --class-weights: 'some' is not one of"),
    ("# nothing\n", "head.grid: no line of --name=value"),
])  # fmt: skip
def test_wrong_grids_are_one_line(tmp_path, text, message):
    with pytest.raises(SertkError) as error:
        read(tmp_path, text)
    assert message in str(error.value) and "\n" not in str(error.value)
