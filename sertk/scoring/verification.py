"""Speaker verification results: EER and minDCF of a trial list and a table of embeddings."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import filled, read_manifest, read_table
from sertk.scoring.intervals import FEW
from sertk.scoring.protocol import CLEAN, LEAKING, UNCHECKED, Corpus, Guard
from sertk.scoring.speaker import eer, eer_interval, min_dcf
from sertk.scoring.trials import (
    cosine_scores,
    embedding_matrix,
    mean_vector,
    read_trials,
    trial_speakers,
)

P_TARGETS = (0.01, 0.05)


def score(
    trials_path: Path,
    embeddings: Rspecifier,
    mean: Rspecifier | None = None,
    utt2spk: Path | None = None,
    stamps: Sequence[str] = (),
    i_know: bool = False,
    max_skip: float = 0.05,
) -> dict:
    """Score speaker trials: all of score-trials.

    Args:
        trials_path: trial list.
        embeddings: rspecifier of embeddings (dim,).
        mean: rspecifier of vectors whose mean is subtracted.
        utt2spk: speakers of the utterances.
        stamps: words for the result line.
        i_know: stamp leaks LEAKY instead of raising.
        max_skip: highest fraction of trials without embeddings.

    Returns:
        plain JSON: EER with its 95 % interval by speaker (None if speakers are unknown), minDCF by p_target, counts, utterances
        without embedding, stamps, and the state of the leak guard with reasons.

    Raises:
        SertkError: bad input, a leak without `i_know`, or more than `max_skip` of the trials without embeddings.
    """
    listed = read_trials(trials_path)
    manifest = read_manifest(embeddings)
    speakers = trial_speakers(trials_path, listed.names, utt2spk)
    corpus = Corpus(listed.names, {"speaker": speakers} if speakers else {}, ("speaker",), trials=True)
    guard = Guard(i_know)
    guard.stamp(*stamps)
    guard.check(str(embeddings), manifest and manifest.settings, listed.names, corpus)
    offset = None if mean is None else mean_vector(filled(read_table(mean, kind="vector")), mean)
    matrix, present = embedding_matrix(filled(read_table(embeddings, kind="vector")), listed.names, offset, embeddings)
    trials = listed.of(present[listed.first] & present[listed.second])
    total, scored = len(listed.target), len(trials.target)
    if total - scored > max_skip * total:
        name = listed.names[int((~present).argmax())]
        raise SertkError(
            f"{embeddings}: {total - scored} of {total} trials have no embedding ({name}, …), "
            f"more than --max-skip={max_skip:g} allows"
        )
    scores = cosine_scores(trials, matrix)
    targets, nontargets = scores[trials.target], scores[~trials.target]
    if not len(targets) or not len(nontargets):
        raise SertkError(f"{embeddings}: no target trial, or no nontarget trial, has both embeddings")
    ends = None
    if speakers:
        number = {name: k for k, name in enumerate(sorted(set(speakers.values())))}
        of_name = np.array([number[speakers[name]] for name in trials.names])
        first, second = of_name[trials.first], of_name[trials.second]
        eer_ends = eer_interval(scores, trials.target, first, second)
        ends = eer_ends and {"eer": list(eer_ends), "speakers": len(np.unique([first, second]))}
    return {
        "eer": eer(targets, nontargets),
        "interval": ends,
        "min_dcf": {str(p): min_dcf(targets, nontargets, p) for p in P_TARGETS},
        "trials": scored,
        "targets": len(targets),
        "nontargets": len(nontargets),
        "left_out": total - scored,
        "duplicates": listed.duplicates,
        "missing": [name for name, known in zip(listed.names, present) if not known],
        "mean": None if mean is None else str(mean),
        "source": str(embeddings),
        "stamps": guard.stamps,
        "leaks": guard.leaks,
        "unchecked": guard.unchecked,
        "guard": guard.state,
    }


def _interval_words(ends: Mapping | None) -> str:
    """The interval of the EER, in words."""
    if ends is None:
        return "no interval: speakers unknown or too few"
    low, high = (f"{100 * end:.2f}" for end in ends["eer"])
    rough = f" (rough: fewer than {FEW} units)" if ends["speakers"] < FEW else ""
    return f"95 % of the EER {low}-{high} by {ends['speakers']} speakers{rough}"


def as_line(results: Mapping) -> str:
    """`%EER 3.13 minDCF(0.01) 0.3264 minDCF(0.05) 0.2041 [ 37720 trials, 18860 target, … ] STAMPS`."""
    costs = " ".join(f"minDCF({p}) {value:.4f}" for p, value in results["min_dcf"].items())
    inside = [
        f"{results['trials']} trials",
        f"{results['targets']} target",
        "cosine" + (", mean subtracted" if results["mean"] else ""),
    ]
    labels = (("left_out", "left out"), ("duplicates", "repeated"))
    inside += [f"{results[what]} {words}" for what, words in labels if results[what]]
    inside.append(_interval_words(results["interval"]))
    inside += [{CLEAN: "no leak", LEAKING: "leaks", UNCHECKED: "leaks unchecked"}[results["guard"]]]
    return " ".join([f"%EER {100 * results['eer']:.2f} {costs} [ {', '.join(inside)} ]", *results["stamps"]])
