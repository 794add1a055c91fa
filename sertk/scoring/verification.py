"""From a trial list and a table of embeddings to EER and minDCF."""

from collections.abc import Mapping, Sequence

import numpy as np

from sertk.errors import SertkError
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
    trials_path, embeddings, mean=None, utt2spk=None, stamps: Sequence[str] = (), i_know=False, max_skip=0.05
) -> dict:
    """Plain JSON: eer, its 95 % interval by speakers (None where they are not known), min_dcf by p_target, counts, the
    utterances without embedding, stamps; the guard's state (clean, leaking, unchecked), the leaks, and what is unchecked.

    Arguments as score-trials's. Raises SertkError where more than `max_skip` of the trials have no embedding.
    """
    listed = read_trials(trials_path)
    manifest = read_manifest(embeddings)
    speakers = trial_speakers(trials_path, listed.names, utt2spk)
    corpus = Corpus(listed.names, {"speaker": speakers} if speakers else {}, ("speaker",), trials=True)
    guard = Guard(i_know)
    guard.stamp(*stamps)
    guard.check(str(embeddings), manifest and manifest.settings, listed.names, corpus)
    offset = None if mean is None else mean_vector(filled(read_table(mean, kind="vector")), mean)
    matrix, there = embedding_matrix(filled(read_table(embeddings, kind="vector")), listed.names, offset, embeddings)
    trials = listed.of(there[listed.first] & there[listed.second])
    total, scored = len(listed.target), len(trials.target)
    if total - scored > max_skip * total:
        name = listed.names[int((~there).argmax())]
        raise SertkError(
            f"{embeddings}: {total - scored} of {total} trials have no embedding ({name}, …), "
            f"more than --max-skip={max_skip:g} allows"
        )
    scores = cosine_scores(trials, matrix)
    targets, nontargets = scores[trials.target], scores[~trials.target]
    if not len(targets) or not len(nontargets):
        raise SertkError(f"{embeddings}: of one kind of trials none has its embeddings: error rates need both")
    ends = None
    if speakers:
        number = {name: k for k, name in enumerate(sorted(set(speakers.values())))}
        of_name = np.array([number[speakers[name]] for name in trials.names])
        first, second = of_name[trials.first], of_name[trials.second]
        found = eer_interval(scores, trials.target, first, second)
        ends = found and {"eer": list(found), "speakers": len(np.unique([first, second]))}
    return {
        "eer": eer(targets, nontargets),
        "interval": ends,
        "min_dcf": {str(p): min_dcf(targets, nontargets, p) for p in P_TARGETS},
        "trials": scored,
        "targets": len(targets),
        "nontargets": len(nontargets),
        "left_out": total - scored,
        "duplicates": listed.duplicates,
        "missing": [name for name, found in zip(listed.names, there) if not found],
        "mean": None if mean is None else str(mean),
        "source": str(embeddings),
        "stamps": guard.stamps,
        "leaks": guard.leaks,
        "unchecked": guard.unchecked,
        "guard": guard.state,
    }


def _interval_words(found: Mapping | None) -> str:
    if found is None:
        return "no interval: speakers are not known, or too few"
    low, high = (f"{100 * end:.2f}" for end in found["eer"])
    rough = f" (rough: fewer than {FEW})" if found["speakers"] < FEW else ""
    return f"95 % of the EER {low}-{high} by {found['speakers']} speakers{rough}"


def as_line(found: Mapping) -> str:
    """`%EER 3.13 minDCF(0.01) 0.3264 minDCF(0.05) 0.2041 [ 37720 trials, 18860 target, … ] STAMPS`."""
    costs = " ".join(f"minDCF({p}) {value:.4f}" for p, value in found["min_dcf"].items())
    inside = [
        f"{found['trials']} trials",
        f"{found['targets']} target",
        "cosine" + (" less mean" if found["mean"] else ""),
    ]
    told = (("left_out", "left out"), ("duplicates", "listed again"))
    inside += [f"{found[what]} {words}" for what, words in told if found[what]]
    inside.append(_interval_words(found["interval"]))
    inside += [{CLEAN: "no leak", LEAKING: "leaks", UNCHECKED: "leaks unchecked"}[found["guard"]]]
    return " ".join([f"%EER {100 * found['eer']:.2f} {costs} [ {', '.join(inside)} ]", *found["stamps"]])
