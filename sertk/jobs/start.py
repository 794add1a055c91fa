"""The network that a training starts from: a new one, or that of --init."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sertk.data.statistics import bin_statistics
from sertk.errors import SertkError
from sertk.jobs.inputs import Inputs
from sertk.models.calibrated import temperature_of
from sertk.models.resnet import ResNet
from sertk.models.spec import CLASSIFIER_OPTIONS, NETWORK_OPTIONS, NetworkSpec
from sertk.training.loop import seeded
from sertk.training.settings import TrainingSettings

log = logging.getLogger("sertk")


def options_of_network(spec: NetworkSpec) -> dict[str, Any]:
    """The options of train-resnet that a network's properties come from."""
    names = NETWORK_OPTIONS + (CLASSIFIER_OPTIONS if spec.output == "cosine" else ())
    return {name: getattr(spec, name) for name in names}


def start_network(
    inputs: Inputs, path: Path | None, settings: TrainingSettings, network_options: dict[str, Any]
) -> ResNet:
    """Create a network, or take the initial model's: with a new head unless labels, pooling and classifier are the same.

    Args:
        inputs: initial model, labels and features.
        path: of the initial model, for messages.
        settings: loss, chunk lengths and seed.
        network_options: fields of NetworkSpec; None for those that are not set.

    Raises:
        SertkError: options contradict the initial network or the labels, or the features have another number of bins.
    """
    labels = inputs.labelling.labels
    if settings.inter_topk >= len(labels):
        raise SertkError(f"--inter-topk {settings.inter_topk}: there are only {len(labels) - 1} other labels")
    given = {name: value for name, value in network_options.items() if value is not None}
    if "pooling" in given:
        flat = given["pooling"] == "none"
        if flat and len(settings.chunk_frames) > 1:
            raise SertkError("--pooling none takes chunks of one length: give --chunk-frames one number")
        given["frames"] = settings.chunk_frames[0] if flat else 0
    given["output"] = "linear" if settings.loss == "softmax" else "cosine"
    if inputs.initial is None:
        spec = NetworkSpec(len(labels), inputs.store.bins, **given)
        network = seeded(lambda: ResNet(spec), settings.seed)
    else:
        network = _continued(inputs, path, settings, given)
    if given.get("input_norm"):
        if (cmvn := inputs.frontend.get("cmvn", "none")) != "none":
            log.warning(
                "--input-norm is for features without cmvn-segment; these have cmvn=%s: the level is gone", cmvn
            )
        network.trunk.norm.adapt(*map(torch.from_numpy, bin_statistics(inputs.store)))
    return network


def _continued(inputs: Inputs, path: Path | None, settings: TrainingSettings, given: dict[str, Any]) -> ResNet:
    """The initial network, with what is given of its head."""
    initial, labels, bins = inputs.initial, inputs.labelling.labels, inputs.store.bins
    spec = initial.network.spec
    if spec.level_input:
        raise SertkError(
            f"{path}: its head takes the level of whole segments (--aux): start from the model it was made of"
        )
    of_head = ("pooling", "frames", "output", *CLASSIFIER_OPTIONS)
    head = {name: value for name, value in given.items() if name in of_head}
    for name, value in given.items():
        if name not in of_head and getattr(spec, name) != value:
            has, asked = (str(one).lower() if isinstance(one, bool) else one for one in (getattr(spec, name), value))
            raise SertkError(f"--{name.replace('_', '-')}: {path} has {has}, not {asked}")
    if spec.bins != bins:
        raise SertkError(f"{path} takes {spec.bins} bins, the features have {bins}")
    if "pooling" not in head and spec.frames and settings.chunk_frames != (spec.frames,):
        raise SertkError(
            f"{path} has no pooling and takes chunks of {spec.frames} frames: give --chunk-frames {spec.frames}"
        )
    if head["output"] == spec.output == "cosine":
        kept = {name: getattr(spec, name) for name in CLASSIFIER_OPTIONS}
        # calibrate-model has divided the scale that was trained with.
        kept["scale"] *= temperature_of(initial) or 1
        head = kept | head
    needed = spec.with_new_head(len(labels), **head)
    network = seeded(lambda: ResNet(needed), settings.seed)
    # A scale is no weight: the centres of another one are kept.
    if initial.labels == labels and needed == replace(spec, scale=needed.scale):
        log.info("%s: trunk and head are kept (the labels are the same)", path)
        network.load_state_dict(initial.network.state_dict())
        return network
    before, now, names = len(initial.labels), len(labels), " ".join(labels[:8])
    log.info("%s: the trunk is kept, the head of %d labels is replaced by one of %d (%s)", path, before, now, names)
    if initial.labels == labels:
        log.warning(
            "%s: its head has %s, which this one has not: it is not kept, though the labels are the same",
            path,
            _kind(spec),
        )
    network.take_trunk(initial.network)
    return network


def _kind(spec: NetworkSpec) -> str:
    cosines = f"cosines to {spec.subcentres} {'centre' if spec.subcentres == 1 else 'centres'} of each label"
    return f"pooling {spec.pooling} and {'a linear output' if spec.output == 'linear' else cosines}"
