"""What tables of vectors say of their origin."""

import pytest

from sertk.errors import SertkError
from sertk.kaldi.origins import check_space, pasted, space, training_record, transductive
from sertk.scoring.trainingrecords import chain


def test_vectors_of_another_space_are_named():
    trained = space({"model": "5e1f", "at": "pool", "draws": 20, "augment": ["none"]})
    check_space(trained, {"model": "5e1f", "at": "pool", "precision": "bf16"}, "scp:v.scp", "final.pt")
    check_space(trained, {}, "scp:v.scp", "final.pt")
    check_space(space({"enrolled": "ten.utts"}), {"enrolled": "twenty.utts"}, "scp:v.scp", "final.pt")
    with pytest.raises(
        SertkError, match=r"scp:v\.scp: vectors of other at than final\.pt .*: embedding, expected pool"
    ):
        check_space(trained, {"at": "embedding"}, "scp:v.scp", "final.pt")


def test_pasted_vectors_keep_all_training_records():
    parts = [{"trained_on": {"keys": ["a"]}}, {"trained_on": "nothing"}, {"trained_on": "VoxCeleb2"}, {}]
    settings = pasted(parts)
    records = [record for record in chain(settings["trained_on"]) if record != {"keys": []}]
    assert [{k: v for k, v in record.items() if k in ("keys", "declared")} for record in records if record.get("keys") != []] == [
        {"keys": ["a"]}, {"declared": "VoxCeleb2"}, {},
    ]  # fmt: skip
    assert pasted([parts[1], parts[1]])["trained_on"] == "nothing"
    assert training_record(settings) == settings["trained_on"]
    assert pasted([{"layers": [2, 9]}, {"layers": [4]}])["layers"] == [2, 9] and "layers" not in pasted(
        [{"layers": [4]}]
    )
    assert "augment" not in settings and pasted([{"augment": ["none", "aggressive"]}, {}])["augment"] == [
        "none",
        "aggressive",
    ]


def test_transductive_features_behind_vectors_are_found():
    settings = pasted([{"frontend": {"cmvn": "group", "transductive": True}}, {"frontend": {"cmvn": "segment"}}])
    assert transductive(settings) and not transductive(pasted([{"frontend": {"transductive": False}}]))
