"""Weights of other toolkits: the ResNet18 and ResNet34 of wespeaker, pyannote.audio and 3D-Speaker.

The three share one network and its names of tensors (wespeaker/models/resnet.py, two others after it):

    conv1, bn1                               the stem
    layerS.i.{conv1,bn1,conv2,bn2,shortcut}  block i of stage S, from 1
    seg_1                                    pooled statistics (channel-major, means first) to the embedding
    seg_bn_1, seg_2                          3D-Speaker's second layer: ReLU, BatchNorm without weights, linear
    projection                               cosines to the training speakers, which a margin loss has trained: left out

They differ in the epsilon of the deviation, and in the front end (ORIGINS).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sertk.errors import SertkError
from sertk.frontend.options import FbankOptions
from sertk.models.checkpoint import printable, tensors_of
from sertk.models.foreignconfig import setting
from sertk.models.resnet import NetworkSpec, ResNet

USUAL_BINS = 80
BRING = "compute its vectors there and bring them as an ark: sertk.train_head trains a head on any"


@dataclass(frozen=True)
class Origin:
    """What a toolkit's code decides and its weights do not say.

    Args:
        epsilon: added to the unbiased variance before the square root.
        window: of the frames.
        scale: of the samples, from the range of 16-bit integers.
    """

    epsilon: float
    window: str
    scale: float


ORIGINS = {
    "wespeaker": Origin(1e-7, "hamming", 1.0),
    "pyannote": Origin(0.0, "hamming", 1.0),
    "3d-speaker": Origin(1e-8, "povey", 1 / 32768),
}

# What other networks are known by, the first that fits.
REFUSED = (
    (r"__[SL]__\.", "a network of clovaai's voxceleb_trainer"),
    (r"(^|\.)front\.layer1\.", "a SimAM ResNet"),
    (r"(^|\.)frontend\.", "a network behind a front end that is a network itself"),
    (r"fuse_mode|layer\d_downsample", "an ERes2Net"),
    (r"(^|\.)layer1\.0\.convs\.", "a Res2Net"),
    (r"(^|\.)layer1\.0\.conv3\.", "a bottleneck ResNet (ResNet50, 101, 152, 221, 293)"),
    (r"(^|\.)xvector\.", "a CAM++ network or a TDNN"),
    (r"(^|\.)encoder\.encoder\.\d", "a network of NeMo (TitaNet)"),
    (r"conv\.conv\.|(^|\.)(bn\d?|norm|asp_bn)\.norm\.|^blocks\.\d+\.(conv|norm)\.", "a network of SpeechBrain"),
    (r"(^|\.)se_res2block\.", "an ECAPA-TDNN"),
    (r"(^|\.)layer1\.0\.se\.", "a ResNet with squeeze and excitation"),
    (r"(^|\.)pool\.", "a ResNet with attentive pooling"),
)


def import_network(content: Any, name: str, config: Mapping[str, Any], origin: str | None = None, bins: int | None = None,
                   deviation: str | None = None, epsilon: float | None = None) -> tuple[ResNet, dict, dict]:  # fmt: skip
    """The network in a checkpoint of another toolkit.

    Args:
        content: of the file (checkpoint.read_checkpoint).
        name: of the file, for messages.
        config: its config.yaml (foreignconfig.read_config), {} without one.
        origin: one of ORIGINS; None: as the file and the config tell.
        bins: mel bins; None: as the config tells, or as the weights do.
        deviation: of the pooling; None: unbiased, as in all three.
        epsilon: of the pooling; None: the origin's.

    Returns:
        the network, which ends with its embedding, in evaluation mode; the front end's settings; what the file says of its
        training: {"origin": …, "classes": rows of the projection or None}.

    Raises:
        SertkError: another network, weights that are missing, left over or NaN, or settings that cannot be met.
    """
    if isinstance(content, Mapping) and str(content.get("format")).startswith("sertk-model"):
        raise SertkError(f"{name}: a model of sertk already, which needs no import")
    tensors, prefix = network_tensors(tensors_of(content, name), name)
    told = _told_origin(content, config, prefix, tensors)
    if origin and told and origin != told:
        raise SertkError(f"{name}: --origin {origin}, but its {'config is' if config else 'tensors are'} {told}'s")
    origin = origin or told or "wespeaker"
    classes = [value.shape[0] for key, value in tensors.items() if key.startswith("projection.") and value.ndim == 2]
    tensors = {key: value for key, value in tensors.items() if not key.startswith("projection.")}
    frontend = frontend_of(content, config, origin, name)
    spec = spec_of(tensors, config, name, bins or frontend.pop("bins"))
    frontend.pop("bins", None)
    spec = NetworkSpec(
        **spec, activation="relu", deviation=deviation or "unbiased", embedding_norm=False, num_labels=0,
        pooling_epsilon=ORIGINS[origin].epsilon if epsilon is None else epsilon,
    )  # fmt: skip
    network = ResNet(spec)
    load(network, tensors, name)
    frontend["fbank"] = FbankOptions(num_mel_bins=spec.bins, **frontend["fbank"]).settings()
    return network.eval(), frontend, {"origin": origin, "classes": classes[0] if classes else None}


def network_tensors(tensors: dict[str, Tensor], name: str) -> tuple[dict[str, Tensor], str]:
    """The tensors of the network among others, without the prefix that all of them have (`module.`, `resnet.`).

    Raises:
        SertkError: there is another network, or none; the message says which.
    """
    for pattern, network in REFUSED:
        if any(re.search(pattern, key) for key in tensors):
            raise SertkError(f"{name}: {network}, which is not imported: {BRING}")
    prefixes = [key.removesuffix("seg_1.weight") for key in tensors if re.fullmatch(r"(.*\.)?seg_1\.weight", key)]
    prefixes = [prefix for prefix in prefixes if f"{prefix}conv1.weight" in tensors]
    if len(prefixes) != 1:
        number = (
            f"{len(prefixes)} of them"
            if prefixes
            else f"no seg_1.weight; its first tensor is {printable(next(iter(tensors)))}"
        )
        raise SertkError(f"{name}: not a ResNet34 of wespeaker, pyannote or 3D-Speaker ({number}): {BRING}")
    prefix = prefixes[0]
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}, prefix


def spec_of(tensors: Mapping[str, Tensor], config: Mapping[str, Any], name: str, bins: int | None) -> dict:
    """The fields of NetworkSpec that the tensors' names and shapes give.

    Raises:
        SertkError: no such network, or one whose number of bins cannot be told.
    """
    stages: list[int] = []
    for stage in range(1, 5):
        numbers = {int(match[1]) for key in tensors if (match := re.match(rf"layer{stage}\.(\d+)\.", key))}
        stages.append(len(numbers) if numbers == set(range(len(numbers))) else 0)
    if not all(stages) or tensors["conv1.weight"].ndim != 4 or tensors["seg_1.weight"].ndim != 2:
        raise SertkError(f"{name}: not a ResNet of four stages (blocks found: {','.join(map(str, stages))})")
    channels = tensors["conv1.weight"].shape[0]
    embedding_dim, pooled = tensors["seg_1.weight"].shape
    function = setting(config, "model_args", "pooling_func") or setting(
        config, "embedding_model", "args", "pooling_func", default="TSTP" if config else None
    )
    if function not in (None, "TSTP", "TAP"):
        raise SertkError(f"{name}: pooling {function}, and TSTP or TAP is imported: {BRING}")
    if bins is None:
        bins = pooled // (channels * (1 if function == "TAP" else 2))
        # Mean and deviation of so many bins, or means alone of twice as many.
        if function is None and bins != USUAL_BINS:
            raise SertkError(f"{name}: {pooled} pooled numbers: {bins} mel bins, or {2 * bins} without deviations?"
                             " --config config.yaml or --num-mel-bins N says it")  # fmt: skip
    factor = {2 * channels * bins: 2, channels * bins: 1}.get(pooled)
    if bins % 8 or factor is None or (function == "TAP" and factor == 2) or (function == "TSTP" and factor == 1):
        raise SertkError(f"{name}: {pooled} pooled numbers, which {channels} channels and {bins} bins do not give")
    fields = {"bins": bins, "channels": channels, "blocks": tuple(stages), "embedding_dim": embedding_dim}
    if "seg_2.weight" in tensors:
        fields |= {"embedding_dim": tensors["seg_2.weight"].shape[0], "hidden_dim": embedding_dim}
    return fields | {"pooling": "stats" if factor == 2 else "mean"}


def load(network: ResNet, tensors: Mapping[str, Tensor], name: str) -> None:
    """Copy the weights; names and shapes must match exactly.

    Raises:
        SertkError: naming the first weight that is missing, left over, of another shape, NaN or infinite.
    """
    tensors = dict(tensors)
    if network.spec.hidden_dim:
        fold_second_layer(tensors, name)
    state, weights = network.state_dict(), {}
    for key, wanted in state.items():
        theirs = their_name(key, bool(network.spec.hidden_dim))
        found = tensors.pop(theirs, None)
        if found is None and key.endswith("num_batches_tracked"):  # of evaluation it is no part
            found = torch.zeros(())
        if found is None or found.shape != wanted.shape:
            shape = "none" if found is None else tuple(found.shape)
            raise SertkError(f"{name}: weights do not fit: {theirs}: expected {tuple(wanted.shape)}, found {shape}")
        if not bool(torch.isfinite(found).all()):
            raise SertkError(f"{name}: {theirs} is NaN or infinite")
        weights[key] = found.to(wanted.dtype)
    if tensors:
        raise SertkError(f"{name}: {printable(next(iter(tensors)))} is no part of a ResNet34: {BRING}")
    network.load_state_dict(weights)


def their_name(key: str, second_layer: bool = False) -> str:
    """What the three toolkits call a tensor of ours.

    Example:
        >>> their_name("trunk.stages.0.2.bn1.weight"), their_name("head.embedding.bias")
        ('layer1.2.bn1.weight', 'seg_1.bias')
    """
    if match := re.match(r"trunk\.stages\.(\d)\.(.*)", key):
        return f"layer{int(match[1]) + 1}.{match[2]}"
    for ours, theirs in (("trunk.stem.", "conv1."), ("trunk.bn.", "bn1."), ("head.hidden.0.", "seg_1."),
                         ("head.embedding.", "seg_2." if second_layer else "seg_1.")):  # fmt: skip
        if key.startswith(ours):
            return theirs + key.removeprefix(ours)
    return key


def fold_second_layer(tensors: dict[str, Tensor], name: str) -> None:
    """Put the BatchNorm between seg_1 and seg_2, which has no weights, into seg_2, in place.

    W (x - mean) / sqrt(var + eps) + b  =  (W s) x + (b - W s mean)  with  s = 1 / sqrt(var + eps)

    Raises:
        SertkError: a tensor of the two is missing, or of another shape.
    """
    wanted = ("seg_bn_1.running_mean", "seg_bn_1.running_var", "seg_2.weight", "seg_2.bias")
    if lacking := [key for key in wanted if key not in tensors]:
        raise SertkError(f"{name}: weights do not fit: {lacking[0]} is missing")
    mean, variance, weight, bias = (tensors[key].double() for key in wanted)
    if mean.shape != variance.shape or weight.shape[1:] != mean.shape:
        raise SertkError(f"{name}: weights do not fit: seg_bn_1 {tuple(mean.shape)}, seg_2 {tuple(weight.shape)}")
    scaled = weight / (variance + torch.nn.BatchNorm1d(1).eps).sqrt()
    tensors["seg_2.weight"], tensors["seg_2.bias"] = scaled.float(), (bias - scaled @ mean).float()
    for key in [key for key in tensors if key.startswith("seg_bn_1.")]:
        del tensors[key]


def frontend_of(content: Any, config: Mapping[str, Any], origin: str, name: str) -> dict:
    """The front end: {"fbank": FbankOptions' fields, "cmvn": …, "channel": 0, "bins": as the config tells or None}.

    Raises:
        SertkError: a front end that is not ours to compute.
    """
    read = {"wespeaker": _of_wespeaker, "pyannote": _of_pyannote, "3d-speaker": _of_3d_speaker}[origin]
    facts = read(content, config, name)
    for what in ("rate", "bins", "length", "shift"):
        if isinstance(value := facts.get(what), bool) or not isinstance(value, int | float | None) or value == 0:
            raise SertkError(f"{name}: its config says {what} {value!r}, expected a number")
    rate = float(facts.pop("rate", None) or 16000)
    of_origin = ORIGINS[origin]
    fbank = {
        "sample_frequency": rate, "window_type": facts.pop("window", None) or of_origin.window, "low_freq": 20.0,
        "high_freq": rate / 2, "sample_scale": of_origin.scale, "dither": 0.0,
        "frame_length": float(facts.pop("length", None) or 25), "frame_shift": float(facts.pop("shift", None) or 10),
    }  # fmt: skip
    bins = facts.get("bins")
    return {"fbank": fbank, "cmvn": facts.get("cmvn", "segment mean"), "channel": 0, "bins": bins and int(bins)}


def _of_wespeaker(content: Any, config: Mapping[str, Any], name: str) -> dict:
    """Read dataset_args, or feature_args of older configs."""
    found: dict[str, Any] = {"bins": setting(config, "model_args", "feat_dim")}
    for section in ("feature_args", "dataset_args"):
        front = setting(config, section, "frontend", default="fbank")
        if front != "fbank":
            raise SertkError(f"{name}: front end {front}, which is a network itself: {BRING}")
        if setting(config, section, "cmvn_args", "norm_var", default=False):
            raise SertkError(f"{name}: features with normalised variance (cmvn_args) are not imported: {BRING}")
        if False in (setting(config, section, "cmvn"), setting(config, section, "cmvn_args", "norm_mean")):
            found["cmvn"] = "none"
        for ours, path in (("rate", ("resample_rate",)), ("bins", ("fbank_args", "num_mel_bins")),
                           ("length", ("fbank_args", "frame_length")), ("shift", ("fbank_args", "frame_shift"))):  # fmt: skip
            if (value := setting(config, section, *path)) is not None:
                found[ours] = value
    return found


def _of_pyannote(content: Any, config: Mapping[str, Any], name: str) -> dict:
    """Read the hyper-parameters in the file."""
    given = content.get("hyper_parameters") if isinstance(content, Mapping) else None
    given = given if isinstance(given, Mapping) else {}
    if given.get("fbank_centering_span") is not None:
        raise SertkError(f"{name}: features centred by a running mean (fbank_centering_span): {BRING}")
    return {"bins": given.get("num_mel_bins"), "rate": given.get("sample_rate"), "window": given.get("window_type"),
            "length": given.get("frame_length"), "shift": given.get("frame_shift")}  # fmt: skip


def _of_3d_speaker(content: Any, config: Mapping[str, Any], name: str) -> dict:
    found = {"rate": setting(config, "feature_extractor", "args", "sample_rate"),
             "bins": setting(config, "feature_extractor", "args", "n_mels")}  # fmt: skip
    if setting(config, "feature_extractor", "args", "mean_nor") is False:
        found["cmvn"] = "none"
    return found


def _told_origin(content: Any, config: Mapping[str, Any], prefix: str, tensors: Mapping[str, Tensor]) -> str | None:
    if "embedding_model" in config:
        return "3d-speaker"
    if "model_args" in config:
        return "wespeaker"
    if prefix.endswith("resnet.") or (isinstance(content, Mapping) and "pyannote.audio" in content):
        return "pyannote"
    # wespeaker's code has this layer too, and none of its recipes uses it.
    return "3d-speaker" if "seg_2.weight" in tensors else None
