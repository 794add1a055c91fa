"""Names of perturbed copies."""

import pytest

from sertk.datadir.copies import is_celebrity, original, renamed, telling


@pytest.mark.parametrize(
    "name",
    ["sp0.9-u", "u-sp0.9", "rvb1-u", "rvb1_u", "u-noise", "u-music2", "u-babble", "u-reverb", "u-aug", "pv1-u", "u_vp1.2",
     "u+codec", "u-level", "sp0.9-u-clip", "sp1.1-rvb2_u-noise", "volume-0.5_u"],
)  # fmt: skip
def test_affixes_of_kaldi_and_lhotse_are_removed(name):
    assert original(name) == "u"


@pytest.mark.parametrize(
    "name",
    ["noise-free-sound-0001", "Ses01F_impro01_F000", "id10270-x6uYqmx31kE-00001", "speech", "sp-u", "dia1-clip2"],
)
def test_names_of_corpora_are_kept(name):
    assert original(name) == name


def test_names_that_identify_a_person_across_corpora():
    assert all(map(telling, ("id10270", "Ses01F", "anna"))) and not any(
        map(telling, ("03", "spk1", "actor_12", "f3", "u7"))
    )
    assert is_celebrity("id10270") and not is_celebrity("id1027") and not is_celebrity("xid10270")


def test_one_more_field_is_an_affix_if_the_rest_is_known():
    assert renamed("x-Ses01F", {"Ses01F"}) == renamed("Ses01F_x", {"Ses01F"}) == "Ses01F"
    assert renamed("x-y-Ses01F", {"Ses01F"}) is None and renamed("x-03", {"03"}) is None
