"""Options as dataclass fields: taken out of those of a command line."""

from sertk.options import take_options
from sertk.training.settings import HeadSettings


def test_take_options_leaves_the_other_options():
    options = {"epochs": 3, "learning_rate": None, "device": "cpu"}
    settings = take_options(HeadSettings, options)
    assert (settings.epochs, settings.learning_rate, options) == (3, 0.01, {"device": "cpu"})
