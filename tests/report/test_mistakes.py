"""The most confident errors."""

from sertk.report.data import Data
from sertk.report.mistakes import mistakes_table


def test_errors_are_listed_most_confident_first(experiments, root):
    experiment = experiments[0]
    test, scored = experiment.test, experiment.systems[0].scored
    wrong = [k for k in range(len(test.keys)) if scored.guess[k] != test.truth[k]]
    wanted = sorted(wrong, key=lambda k: -scored.posteriors[k].max())[:4]
    with Data(root / "data") as data:
        table = mistakes_table(experiment, 4, data, audio=True)
    assert [row[0] for row in table.rows] == [test.keys[k] for k in wanted]
    assert [row[3] for row in table.rows] == [f"{100 * scored.posteriors[k].max():.1f}" for k in wanted]
    assert table.columns[-4:] == ["transcript", "raters", "spectrogram", "audio"]
    assert table.rows[0][-2].png.startswith(b"\x89PNG") and table.rows[0][-1].wav.startswith(b"RIFF")
    assert f"The 4 most confident of {len(wrong)} errors in 80 segments." in table.notes
