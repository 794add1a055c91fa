"""Options of perturb-data that do not go together."""

import pytest

from sertk.datadir.perturb_options import PerturbOptions
from sertk.errors import SertkError


def test_kinds_and_colours_follow_from_the_options():
    options = PerturbOptions(noise="synthetic", rir="/rirs", level=(-20,))
    assert options.kinds == ("noise", "rir", "level")
    assert options.colours == ("white", "pink", "brown")
    assert PerturbOptions(noise="pink").colours == ("pink",)
    assert PerturbOptions(noise="/musan/noise").colours == ()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "nothing to do"),
        ({"codec": ("amr",)}, "--codec=amr is not one of mulaw, alaw, gsm, mp3, opus, g711, telephone"),
        ({"speed": (0.9, 1.0)}, "--speed"),
        ({"speed": (0.9, 0.9)}, "--speed"),
        ({"speed": (0.99999,)}, "--speed=1: each other than 1"),
        ({"noise": "pink", "suffix": "a-b"}, "--suffix=a-b"),
        ({"noise": "pink", "suffix": ""}, "--suffix="),
        ({"noise": "pink", "rir": "synthetic", "suffix": "x"}, "--suffix is for one kind"),
        ({"speed": (0.9,), "suffix": "x"}, "--suffix is for one kind"),
        ({"noise": "pink", "rir": "synthetic", "keep_ids": True}, "--keep-ids is for one copy"),
        ({"noise": "pink", "copies": 2, "keep_ids": True}, "--keep-ids is for one copy"),
        ({"noise": "pink", "speed": (0.9,), "keep_ids": True}, "--keep-ids is for one copy"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, says):
    with pytest.raises(SertkError) as error:
        PerturbOptions(**options)
    assert str(error.value).startswith(says)


@pytest.mark.parametrize(
    "options",
    [{"speed": (0.9,)}, {"level": (-20,)}, {"noise": "pink", "rir": "synthetic", "each_kind": False}],
)
def test_one_copy_of_each_may_keep_the_ids(options):
    PerturbOptions(**options, keep_ids=True)
