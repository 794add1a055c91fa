"""What a training starts from: labels, features and targets of the segments that are not held out."""

from sertk.jobs.inputs import read_inputs
from sertk.jobs.options import TrainingOptions
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.training.settings import TrainingSettings


def test_held_out_and_development_folds_are_not_trained_on(toy, folds):
    settings = TrainingSettings(select="dev-session", class_weights="balanced")
    options = TrainingOptions(utt2fold=toy / "utt2fold", fold="4")
    inputs = read_inputs(parse_rspecifier(f"scp:{toy}/feats.scp"), toy / "utt2label", settings, options)
    assert {folds[key] for key in inputs.store.keys} == {"2", "3"} and inputs.development_fold == "1"
    assert {folds[key] for key in inputs.development.keys} == {"1"}
    assert inputs.frontend["cmvn"] == "segment" and len(inputs.targets.weights) == 4
    assert {"data.features", "development.features"} <= inputs.fingerprint().keys()
