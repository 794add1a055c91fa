"""What others report, as it stands in the report."""

from sertk.report.published import EMODB, IEMOCAP


def test_the_counts_are_the_corpus_totals():
    assert [sum(found.counts.values()) for found in (*IEMOCAP, EMODB)] == [4490, 4936, 5531, 339]


def test_the_labels_of_an_experiment_are_those_that_are_counted():
    for found in (*IEMOCAP, EMODB):
        assert list(found.counts) == list(dict.fromkeys(found.label_map.values()))


def test_every_row_is_in_per_cent_and_says_where_it_is_from():
    for row in (row for found in (*IEMOCAP, EMODB) for row in found.rows):
        assert row.source and (row.ua, row.wa) != (None, None)
        assert all(25 <= value <= 100 for value in (row.ua, row.wa) if value is not None)
