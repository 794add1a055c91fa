"""Statistics of a speech encoder's layers for the segments of a table of recordings."""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from sertk.errors import SertkError
from sertk.frontend.audio import check_range, check_sound
from sertk.frontend.extractor import too_short
from sertk.frontend.pipeline import in_order
from sertk.frontend.resample import resample
from sertk.frontend.speech import Job, Speech
from sertk.frontend.unfit import UnfitAudio, one_recording
from sertk.models.encoder import Moments, load_encoder
from sertk.models.inference import Skip, together
from sertk.runtime import choose_device, choose_precision, prepare_cpu, warn_of_emulated_bf16

# Threads that decode recordings while a GPU computes.
READERS = 4


class Encoding:
    """An encoder and what is taken from it.

    Args:
        folder: of the encoder.
        layers: numbers of the outputs, from 0; None: all.
        window: seconds of the longest piece that is computed at a time.
        batch: seconds computed together, padding included; None: 120 on a GPU, on a CPU each piece alone.
        precision: "auto", "float32" or "bf16".
        device: "cpu", "cuda" or "cuda:N"; None: the GPU if there is one.
        num_threads: CPU threads; None: see runtime.prepare_cpu.

    Raises:
        SertkError: the encoder cannot be read, or has no such layer.
    """

    def __init__(
        self,
        folder: Path,
        layers: Sequence[int] | None = None,
        window: float = 30.0,
        batch: float | None = None,
        precision: str = "auto",
        device: str | None = None,
        num_threads: int | None = None,
    ) -> None:
        torch_device, _ = choose_device(device), prepare_cpu(num_threads)
        precision = choose_precision(precision, torch_device)
        warn_of_emulated_bf16(precision, torch_device)
        self.folder, self.encoder = folder, load_encoder(folder, torch_device, precision)
        count = self.encoder.num_layers
        self.layers = tuple(range(count + 1)) if layers is None else tuple(layers)
        if (last := max(self.layers)) > count:
            raise SertkError(f"{folder}: has no layer {last}: 0 (the input of the first) to {count}")
        rate = self.encoder.rate
        self.window = min(window, self.encoder.longest / rate) if self.encoder.longest else window
        on_gpu = torch_device.type == "cuda"
        self.readers = READERS if on_gpu else 1
        seconds = (120.0 if on_gpu else 0.0) if batch is None else batch
        self.batch = int(seconds * rate) if self.encoder.batched else 0

    def settings(self, licence: str | None, trained_on: str | None) -> dict[str, Any]:
        """How the vectors are computed, for the manifest.

        Args:
            licence: of the weights.
            trained_on: training data in words.
        """
        encoder = self.encoder
        record = {
            "target": "speech", "source": f"{encoder.kind}: {self.folder.resolve().name}", "sha256": encoder.sha256,
            "licence": licence, "declared": trained_on,
        }  # fmt: skip
        return {"model": encoder.digest, "layers": list(self.layers), "statistics": ["mean", "deviation"],
                "window": self.window, "precision": encoder.precision, "trained_on": record}  # fmt: skip

    def run(self, jobs: Iterable[Job], skip: Skip) -> Iterator[tuple[str, np.ndarray]]:
        """Compute the statistics of utterances, in their order.

        Args:
            jobs: from frontend.recordings.
            skip: called with key and reason for an utterance that cannot be used.

        Yields:
            (key, (layers, 2 * dim) float32): mean and deviation over all frames of the utterance.
        """
        held: list[tuple[str, list[np.ndarray]]] = []
        held_samples = 0
        for key, samples in self._utterances(jobs, skip):
            held.append((key, self._pieces(samples)))
            held_samples += len(samples)
            if held_samples >= 4 * self.batch:
                yield from self._window(held)
                held, held_samples = [], 0
        yield from self._window(held)

    def _utterances(self, jobs: Iterable[Job], skip: Skip) -> Iterator[tuple[str, np.ndarray]]:
        """(key, samples as the encoder takes them) of the utterances that can be used."""
        for key, samples, reason in in_order(lambda: self._prepared, jobs, self.readers):
            if samples is None:
                skip(key, reason)
            else:
                yield key, samples

    def _prepared(self, job: Job) -> list[tuple[str, np.ndarray | None, str]]:
        return [self._sound(speech) for speech in job()]

    def _sound(self, speech: Speech) -> tuple[str, np.ndarray | None, str]:
        if speech.samples is None:
            return speech.key, None, speech.reason
        try:
            with one_recording():
                samples = np.asarray(speech.take(), np.float32)
                check_range(samples)
                check_sound(samples)
                samples = resample(samples, speech.rate, self.encoder.rate)
                if not self.encoder.num_frames(len(samples)):
                    raise UnfitAudio(too_short(len(samples)))
                return speech.key, self.encoder.scaled(samples), ""
        except UnfitAudio as error:
            return speech.key, None, str(error)
        except SertkError as error:
            raise SertkError(f"{speech.where}: {error}") from None

    def _pieces(self, samples: np.ndarray) -> list[np.ndarray]:
        """Cut an utterance that is longer than the window into the fewest pieces of equal length."""
        return np.array_split(samples, max(1, ceil(len(samples) / (self.window * self.encoder.rate))))

    def _window(self, held: list[tuple[str, list[np.ndarray]]]) -> Iterator[tuple[str, np.ndarray]]:
        """The statistics of utterances whose pieces are batched by length."""
        pieces = [(number, piece) for number, (_, parts) in enumerate(held) for piece in parts]
        lengths = [len(piece) for _, piece in pieces]
        order = sorted(range(len(pieces)), key=lengths.__getitem__)
        sums: dict[int, Moments] = {}
        for picked in together(order, lengths, self.batch):
            for index, moments in zip(picked, self.encoder.moments([pieces[i][1] for i in picked], self.layers)):
                number = pieces[index][0]
                sums[number] = sums[number] + moments if number in sums else moments
        for number, (key, _) in enumerate(held):
            yield key, sums[number].statistics()
