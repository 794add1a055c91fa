"""Model selection in a report: the epoch that each fold's model comes from."""

from types import SimpleNamespace

from sertk.report.selection import chosen_epochs


def test_selected_epochs_are_listed_by_fold():
    settings = {"1": {"trained_on": {"chosen_epoch": 12}}, "2": {"trained_on": {}}, "3": None}
    assert chosen_epochs(SimpleNamespace(scored=SimpleNamespace(settings=settings))) == "12, –, –"
