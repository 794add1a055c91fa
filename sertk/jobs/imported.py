"""A network of another toolkit from its checkpoint to a model file, with a card that says whose it is."""

import hashlib
import logging
from pathlib import Path
from typing import Any

from sertk.datadir.lists import read_lines
from sertk.errors import SertkError
from sertk.models.checkpoint import read_checkpoint
from sertk.models.foreign import import_network
from sertk.models.foreignconfig import read_config, setting
from sertk.models.modelfile import Model, frontend_conf, load_model, save_model
from sertk.runs.card import model_card, write_conf

log = logging.getLogger("sertk")

COMMAND = "import-resnet"


def import_model(checkpoint: Path, out: Path, config: Path | None, speakers: Path | None, licence: str | None,
                 trained_on: str | None, origin: str | None, **overrides: Any) -> Model:  # fmt: skip
    """Write the model file `out`, and beside it the settings with which make-fbank computes its features.

    Args:
        checkpoint: of wespeaker, pyannote.audio or 3D-Speaker.
        out: a new file, or one that this wrote before.
        config: the toolkit's config.yaml.
        speakers: a list of the training speakers, for the leak guard.
        licence: of the weights.
        trained_on: what it was trained on, in words.
        origin: the toolkit (foreign.ORIGINS).
        overrides: bins, deviation, epsilon, as import_network takes them.

    Raises:
        SertkError: see import_network; `out` is another file; the speakers are not those of the checkpoint.
    """
    if out.exists() and load_model(out, heads=True).card.get("command") != COMMAND:
        raise SertkError(f"{out}: exists and is not an imported model; the last argument is the output")
    data = checkpoint.read_bytes()
    content = read_checkpoint(data, str(checkpoint))
    settings = read_config(config) if config else {}
    network, frontend, facts = import_network(content, str(checkpoint), settings, origin, **overrides)
    record = {
        "target": "speaker", "declared": trained_on or _described(settings, facts["classes"]),
        "source": f"{facts['origin']}: {checkpoint.name}", "sha256": hashlib.sha256(data).hexdigest(),
        "licence": licence,
    }  # fmt: skip
    if speakers:
        record["speakers"] = read_speakers(speakers, facts["classes"])
    spec = network.spec
    told = {"checkpoint": str(checkpoint), "config": str(config) if config else None, **facts,
            "deviation": spec.deviation, "epsilon": spec.pooling_epsilon}  # fmt: skip
    model = Model(network, [], frontend, model_card(COMMAND, told, record))
    save_model(out, model)
    write_conf(frontend_conf(out), make_fbank_options(frontend))
    return model


def read_speakers(path: Path, classes: int | None) -> list[str]:
    """The speakers of a list: the first word of each line, as in Kaldi's spk2utt.

    Args:
        path: of the list.
        classes: rows of the checkpoint's projection: one for each speaker, or for each at three speeds, or three centres.

    Raises:
        SertkError: a name that comes twice, none, or another number of them than the checkpoint has.
    """
    speakers: dict[str, int] = {}
    for number, line in read_lines(path):
        if words := line.split():
            if words[0] in speakers:
                raise SertkError(f"{path}:{number}: {words[0]} comes twice (first on line {speakers[words[0]]})")
            speakers[words[0]] = number
    if not speakers:
        raise SertkError(f"{path}: is empty")
    if classes and classes % len(speakers):
        raise SertkError(f"{path}: {len(speakers)} speakers, and the checkpoint's projection has {classes} classes")
    return sorted(speakers)


def make_fbank_options(frontend: dict) -> dict:
    """A model's front end as options of make-fbank."""
    normalised = frontend["cmvn"] != "none"
    options = {**frontend["fbank"], "cmvn": normalised}
    options |= {"norm-vars": frontend["cmvn"] == "segment"} if normalised else {}
    return options | ({"channel": frontend["channel"]} if "channel" in frontend else {})


def _described(config: dict, classes: int | None) -> str | None:
    """What the config and the projection say of the training data."""
    data = setting(config, "train_label") or setting(config, "dataset_args", "train_label")
    parts = [str(data)] if data else []
    return ", ".join(parts + ([f"{classes} classes"] if classes else [])) or None
