"""Labels and folds: what is left to train on."""

import pytest

from sertk.errors import SertkError
from sertk.training.labelling import Labelling


def test_nothing_left_to_train_on_names_the_folds():
    labelling = Labelling(["ang", "neu"], {"p": "ang", "q": "neu"}, {"p": "1", "q": "2"})
    with pytest.raises(SertkError, match="with the folds 1 and 2 held out nothing is left to train on"):
        labelling.training("1", development="2")
    alone = Labelling(["ang", "neu"], {"p": "ang", "q": "neu"}, {"p": "1", "q": "1"})
    for choosing in (None, "1"):
        with pytest.raises(SertkError, match="with fold 1 held out nothing is left to train on"):
            alone.training("1", choosing)
