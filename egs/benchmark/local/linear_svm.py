#!/usr/bin/env python3
"""linear-svm: scikit-learn's linear SVM on vectors, one for each held-out fold; predictions as CSV."""

import csv
import json
import logging
from pathlib import Path

import click

from sertk.atomic import atomic_file
from sertk.cli.command import command
from sertk.cli.types import FILE, FOLDER, RSPECIFIER, WEIGHTS
from sertk.datadir.lists import read_list
from sertk.datadir.records import write_json
from sertk.errors import SertkError
from sertk.kaldi.tables import read_table, table_writer
from sertk.scoring.foldfiles import read_labels, read_maps, read_utt2fold
from sertk.scoring.posteriors import INNER_SCORES
from sertk.scoring.trainingrecords import training_record

log = logging.getLogger("sertk")


@command
@click.argument("vectors", metavar="VECTORS-RSPECIFIER", type=RSPECIFIER)
@click.argument("fold_dir", metavar="FOLD-DIR", type=FILE)
@click.argument("predictions", metavar="CSV", type=FILE)
@click.option("--complexity", type=WEIGHTS, default="1e-5,1e-4,1e-3,1e-2,1e-1,1", show_default=True,
              help="Values of C; each fold's is the best in a cross-validation of its training folds, by UA.")  # fmt: skip
@click.option(
    "--fitted", type=FILE, help="Choose nothing: C and temperatures that an earlier call wrote beside its CSV."
)
@click.option("--test-vectors", type=RSPECIFIER, help="Test on these vectors of the same segments, of perturbed audio.")
@click.option("--inner-scores", type=FOLDER, metavar="DIR",
              help="Also write DIR/FOLD/inner.ark, scores of the training segments for fuse-scores --weights inner.")  # fmt: skip
def main(vectors, fold_dir, predictions, complexity, fitted, test_vectors, inner_scores):
    """Train a linear SVM with balanced classes for each fold of FOLD-DIR, and write the probabilities of its test segments.

    Columns are standardised over the training segments. C, and the temperature that turns distances into probabilities, come
    from a cross-validation within the training folds (one of them held out at a time): nothing is chosen on the test
    fold. With two folds in all there is no inner cross-validation: the middle value of --complexity and the temperature 1
    are used. Both are written beside CSV, with the suffix .json.

    \b
    e.g.: local/linear_svm.py scp:compare.scp exp/emodb/folds exp/emodb/svm.csv
          local/linear_svm.py --fitted exp/emodb/svm.json --test-vectors scp:noisy.scp scp:compare.scp \\
            exp/emodb/folds exp/emodb/noisy.csv
    See also: import-scores
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise SertkError(f"scikit-learn cannot be used ({error}): pip install scikit-learn") from None
    import numpy as np
    from scipy.special import softmax

    labels, utt2label = read_labels(fold_dir / "labels.txt"), read_list(fold_dir / "utt2label")
    utt2fold = read_utt2fold(fold_dir / "utt2fold")
    keys = list(utt2label)
    values = read_vectors(vectors, keys)
    tested = values if test_vectors is None else read_vectors(test_vectors, keys)
    truth = np.array([labels.index(utt2label[key]) for key in keys])
    fold = np.array([utt2fold[key] for key in keys])
    speaker_of = read_maps(fold_dir / "utt2fold").get("speaker", {})
    choices = {} if fitted is None else read_choices(fitted, set(map(str, fold)))
    with atomic_file(predictions, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["utt", *labels])
        for held_out in sorted(set(fold)):
            train, test = fold != held_out, fold == held_out
            training, testing = standardised(values[train], tested[test])
            # Only products of segments are needed, once for all values of C and all inner folds.
            kernel = training @ training.T
            if fitted is None:
                *choice, inner = choose(kernel, truth[train], fold[train], complexity, len(labels))
                choices[str(held_out)] = choice
                if inner_scores and inner is not None:
                    scored = dict(zip((keys[n] for n in np.flatnonzero(train)), inner))
                    write_inner(inner_scores / str(held_out), labels, scored, speaker_of)
            chosen, temperature = choices[str(held_out)]
            log.info("fold %d: C %g, temperature %.3g", held_out, chosen, temperature)
            distances = distances_of(kernel, truth[train], testing @ training.T, chosen, len(labels))
            for n, row in zip(np.flatnonzero(test), softmax(distances / temperature, axis=1)):
                writer.writerow([keys[n], *(f"{p:.6g}" for p in row)])
    chosen = {name: {"C": c, "temperature": t} for name, (c, t) in choices.items()}
    write_json(predictions.with_suffix(".json"), chosen)


def read_vectors(source, keys):
    """The vectors of `keys`, (segments, columns). Raises SertkError if one has none."""
    import numpy as np

    wanted = set(keys)
    table = {key: vector for key, vector in read_table(source, kind="vector") if key in wanted}
    if missing := [key for key in keys if key not in table]:
        raise SertkError(f"{source}: no vector for {missing[0]}, {len(missing)} of {len(keys)} segments have none")
    return np.stack([table.pop(key) for key in keys]).astype(np.float64)


def read_choices(path, folds):
    """(C, temperature) of each fold, as an earlier call wrote them. Raises SertkError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {fold: (float(content[fold]["C"]), float(content[fold]["temperature"])) for fold in folds}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SertkError(f"{path}: not what linear-svm wrote for these folds: {error!r}") from None


def write_inner(folder: Path, labels, scored, speaker_of):
    """Write FOLDER/inner.ark: the probabilities of the training segments of a fold, {key: (classes,)}."""
    record = training_record(folder.name, scored, None, None, speaker_of)
    settings = {"labels": list(labels), "trained_on": record}
    folder.mkdir(parents=True, exist_ok=True)
    with table_writer(f"ark:{folder / INNER_SCORES}", kind="vector", settings=settings) as write:
        for key in sorted(scored):
            write(key, scored[key].astype("float32"))


def standardised(training, testing):
    """Both by the mean and deviation of the training segments' columns."""
    import numpy as np

    mean, deviation = training.mean(axis=0), training.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1)
    return (training - mean) / deviation, (testing - mean) / deviation


def choose(kernel, truth, fold, complexity, num_classes):
    """C with the best UA in a cross-validation of the training folds, and the temperature of least log loss.

    Args:
        kernel: (training, training) products of training segments.
        truth: (training,) class indices.
        fold: (training,) fold numbers.
        complexity: values of C.
        num_classes: number of classes.

    Returns:
        C, temperature, (training, classes) probabilities of the cross-validation; without one, as there is only one training
        fold: the middle value of C, 1, None.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax, softmax
    from sklearn.metrics import balanced_accuracy_score

    if len(set(fold)) < 2:
        return sorted(complexity)[len(complexity) // 2], 1.0, None
    best = -1.0
    for value in sorted(complexity):
        distances = np.empty((len(fold), num_classes))
        for part in set(fold):
            out = fold == part
            inner = kernel[~out][:, ~out]
            distances[out] = distances_of(inner, truth[~out], kernel[out][:, ~out], value, num_classes)
        accuracy = balanced_accuracy_score(truth, distances.argmax(axis=1))
        if accuracy > best:
            best, chosen, chosen_distances = accuracy, value, distances

    def loss(log_temperature):
        scores = log_softmax(chosen_distances / np.exp(log_temperature), axis=1)
        return -scores[np.arange(len(truth)), truth].mean()

    temperature = float(np.exp(minimize_scalar(loss, bounds=(-6, 6), method="bounded").x))
    return chosen, temperature, softmax(chosen_distances / temperature, axis=1)


def distances_of(kernel, truth, test_kernel, complexity, num_classes):
    """Decisions of scikit-learn's SVC (one class against one) for each class: its votes, and distances within a vote.

    Args:
        kernel: (training, training) products of training segments.
        truth: (training,) class indices.
        test_kernel: (test, training) products.
        complexity: C.
        num_classes: number of classes.

    Returns:
        (test, classes); a class without training segments, as in an inner fold, is never chosen.
    """
    import numpy as np
    from sklearn.svm import SVC

    svm = SVC(C=complexity, kernel="precomputed", class_weight="balanced").fit(kernel, truth)
    decisions = svm.decision_function(test_kernel)
    distances = np.full((len(test_kernel), num_classes), -1e3)
    distances[:, svm.classes_] = np.stack([-decisions, decisions], axis=1) if decisions.ndim == 1 else decisions
    return distances


if __name__ == "__main__":
    main()
