"""Trial lists drawn from speakers: all pairs by hand, constraints, what cannot be drawn."""

from itertools import combinations

import pytest

from sertk.errors import SertkError
from sertk.scoring.drawtrials import draw_trials

SPEAKERS = {f"{speaker}{n}": speaker for speaker in "abc" for n in range(4)}
SESSIONS = {name: str(int(name[1]) // 2) for name in SPEAKERS}
GENDERS = {name: "f" if name[0] in "ab" else "m" for name in SPEAKERS}


def test_all_pairs_are_those_of_itertools():
    expected = [(a, b, a[0] == b[0]) for a, b in combinations(SPEAKERS, 2)]
    assert draw_trials(SPEAKERS, 0) == expected
    assert draw_trials(SPEAKERS, 1000) == expected


def test_a_draw_has_the_number_and_depends_on_the_seed_alone():
    drawn = draw_trials(SPEAKERS, 10, seed=1)
    assert sum(target for *_, target in drawn) == 10 and len(set(drawn)) == 20
    assert all((a[0] == b[0]) == target for a, b, target in drawn)
    assert drawn == draw_trials(SPEAKERS, 10, seed=1) != draw_trials(SPEAKERS, 10, seed=2)


def test_targets_are_apart_and_nontargets_alike():
    drawn = draw_trials(SPEAKERS, 0, apart=SESSIONS, same=GENDERS)
    assert [pair for pair in drawn if pair[2]] == [
        (a, b, True) for a, b in combinations(SPEAKERS, 2) if a[0] == b[0] and SESSIONS[a] != SESSIONS[b]
    ]
    assert {(a[0], b[0]) for a, b, target in drawn if not target} == {("a", "b")} and len(drawn) == 12 + 16


@pytest.mark.parametrize(
    ("speakers", "options", "message"),
    [
        ({"a": "x", "b": "y"}, {}, "no two of 2 utterances of 2 speakers are a target trial"),
        ({"a": "x", "b": "x"}, {}, "no two of 2 utterances of 1 speakers are a nontarget trial"),
        (SPEAKERS, {"apart": {name: "1" for name in SPEAKERS}}, "are a target trial"),
        (SPEAKERS, {"same": {"a0": "f"}}, "a1 is in utt2spk and not in the map of its groups"),
        ({str(n): str(n % 3) for n in range(5001)}, {}, "5001 utterances have too many pairs"),
    ],
)
def test_what_has_no_trials_is_refused(speakers, options, message):
    with pytest.raises(SertkError, match=message):
        draw_trials(speakers, 0, **options)
