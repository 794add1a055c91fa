"""From embeddings of a trial list to scores: cosine, mean subtracted, normalised by a cohort."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sertk.datadir.copies import original
from sertk.datadir.lists import read_list
from sertk.errors import SertkError
from sertk.kaldi.specifiers import Rspecifier
from sertk.kaldi.tables import filled, read_manifest, read_table
from sertk.scoring.asnorm import CohortScores, cohort_scores, normalise, speaker_means
from sertk.scoring.corpus import Corpus
from sertk.scoring.leakguard import Guard
from sertk.scoring.options import NormOptions
from sertk.scoring.trainingrecords import chain, speakers_in
from sertk.scoring.trials import Embeddings, Trials, cosine_scores, read_embeddings, speaker_indices, voxceleb_speakers


@dataclass(frozen=True)
class ScoredTrials:
    """A trial list with its scores.

    Args:
        listed: all trials of the list.
        trials: those with both embeddings.
        scores: (trials,).
        embeddings: of `listed.names`.
        cohort: statistics of `listed.names` with the cohort, None without one.
        speakers: utterance -> speaker, {} if unknown.
        source: rspecifier of the embeddings.
        settings: of the embeddings' manifest, None without one.
    """

    listed: Trials
    trials: Trials
    scores: np.ndarray
    embeddings: Embeddings
    cohort: CohortScores | None
    speakers: Mapping[str, str]
    source: Rspecifier
    settings: Mapping | None

    def of_kinds(self) -> tuple[np.ndarray, np.ndarray]:
        """Scores of targets and of nontargets."""
        return self.scores[self.trials.target], self.scores[~self.trials.target]

    def speaker_indices(self) -> tuple[np.ndarray, np.ndarray]:
        """(trials,) speaker index of each side."""
        return speaker_indices(self.trials, self.speakers)


@dataclass(frozen=True)
class Backend:
    """What turns embeddings into scores: a mean to subtract, a cohort to normalise with.

    Args:
        mean: (dim,) vector, None: nothing is subtracted.
        cohort: (speakers, dim) centred, length-normalised; None: scores are not normalised.
        norm: options of the cohort.
        max_skip: highest fraction of trials without embeddings.
    """

    mean: np.ndarray | None
    cohort: np.ndarray | None
    norm: NormOptions
    max_skip: float

    def score(self, listed: Trials, speakers: Mapping[str, str], source: Rspecifier) -> ScoredTrials:
        """Score a trial list.

        Args:
            listed: the list.
            speakers: utterance -> speaker, {} if unknown.
            source: rspecifier of its embeddings.

        Raises:
            SertkError: bad input, or more than `max_skip` of the trials without embeddings.
        """
        manifest = read_manifest(source)
        embeddings = read_embeddings(filled(read_table(source, kind="vector")), listed.names, self.mean, str(source))
        present = embeddings.present
        trials = listed.of(present[listed.first] & present[listed.second])
        total, lacking = len(listed.target), len(listed.target) - len(trials.target)
        if lacking > self.max_skip * total:
            name = listed.names[int((~present).argmax())]
            raise SertkError(
                f"{source}: {lacking} of {total} trials have no embedding ({name}, …), "
                f"more than --max-skip={self.max_skip:g} allows"
            )
        if len(np.unique(trials.target)) < 2:
            raise SertkError(f"{source}: no target trial, or no nontarget trial, has both embeddings")
        scores, cohort = cosine_scores(trials, embeddings.matrix), None
        if self.cohort is not None:
            cohort = cohort_scores(embeddings.matrix, self.cohort, self.norm.top_n)
            scores = normalise(scores, trials, cohort, self.norm.norm_side)
        settings = manifest and manifest.settings
        return ScoredTrials(listed, trials, scores, embeddings, cohort, speakers, source, settings)


def read_cohort(
    norm: NormOptions, embeddings: Rspecifier, offset: np.ndarray | None, guard: Guard, corpus: Corpus
) -> np.ndarray:
    """The cohort, (speakers, dim), centred and length-normalised; test speakers in it are a leak."""
    check_model(norm.cohort, embeddings)
    manifest = read_manifest(norm.cohort)
    utt2spk = read_list(norm.cohort_utt2spk) if norm.cohort_utt2spk else None
    keys: set[str] = set()
    means = speaker_means(noted(filled(read_table(norm.cohort, kind="vector")), keys), utt2spk, str(norm.cohort))
    of_key = utt2spk or voxceleb_speakers(keys)
    people = set(means) | {of_key[key] for key in keys if key in of_key}
    keep_apart(guard, f"{norm.cohort}: the cohort", keys, people, corpus)
    # Vectors without speakers are apart from the test's if the network was trained on them, which the guard checks.
    if not corpus.people or not (keys <= of_key.keys() or keys <= trained_on(manifest and manifest.settings)):
        guard.doubt(str(norm.cohort), "the speakers of the cohort, or of the trials, are unknown: some may be in both")
    return read_embeddings(means.items(), means, offset, str(norm.cohort)).matrix


def trained_on(settings: Mapping | None) -> set[str]:
    """Segments and speakers that the network of a table, and those that it was initialised from, were trained on."""
    names: set[str] = set()
    for record in chain((settings or {}).get("trained_on")):
        names.update(record.get("keys") or (), speakers_in(record, trials=True) or ())
    return names


def keep_apart(guard: Guard, what: str, keys: Iterable[str], people: Iterable[str], corpus: Corpus) -> None:
    """Report utterances and speakers of the trials in other data as a leak."""
    utterances = {original(key) for key in corpus.keys}
    speakers = {corpus.group("speaker", utterance) for utterance in utterances if "speaker" in corpus.maps}
    for kind, names in (
        ("utterance", utterances & {original(key) for key in keys}),
        ("speaker", speakers & {original(person) for person in people}),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            guard.leak(f"{what} has {kind} {min(names)}{more} of the trials")
            return


def check_model(table: Rspecifier, embeddings: Rspecifier) -> None:
    """Raise SertkError if two tables of embeddings are known to be of different networks."""
    manifests = [read_manifest(source) for source in (table, embeddings)]
    models = [manifest.settings.get("model") if manifest else None for manifest in manifests]
    if all(models) and models[0] != models[1]:
        raise SertkError(f"{table}: embeddings of another network than {embeddings}")


def noted(table: Iterable[tuple[str, np.ndarray]], keys: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Pass entries on, and collect their keys."""
    for key, vector in table:
        keys.add(key)
        yield key, vector
