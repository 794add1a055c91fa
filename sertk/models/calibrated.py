"""Models with calibrated probabilities: the temperature is part of the output layer.

Dividing the logits by a temperature is dividing the output layer's weights and biases by it, or of cosines their scale:
whatever computes with the model (binaries, Python, ONNX) gives calibrated probabilities without knowing. The scale of a
margin loss is chosen for training and says nothing about confidence, so cosines need a temperature as linear outputs do.
"""

import copy
from dataclasses import replace

from torch import nn

from sertk.errors import SertkError
from sertk.models.cosine import CosineOutput
from sertk.models.modelfile import Model
from sertk.models.resnet import Head


def temperature_of(model: Model) -> float | None:
    """The temperature in a model's output layer; None: it has not been calibrated."""
    return model.card.get("temperature", {}).get("value")


def calibrated(model: Model, temperature: float, source: str) -> Model:
    """The model with its logits divided by a temperature.

    Args:
        model: a network or a head on vectors; stays as it is.
        temperature: above 0; above 1 makes the model less confident.
        source: where the temperature is from, for the card.

    Raises:
        SertkError: the model is calibrated already, or has no output layer.
    """
    if (present := temperature_of(model)) is not None:
        raise SertkError(f"is calibrated already, with temperature {present:g}")
    network = copy.deepcopy(model.network)
    output = (network if isinstance(network, Head) else network.head).output
    if isinstance(output, CosineOutput):
        output.scale /= temperature
        network.spec = replace(network.spec, scale=output.scale)
    elif isinstance(output, nn.Linear):
        output.weight.data /= temperature
        output.bias.data /= temperature
    else:
        raise SertkError("has no output layer to calibrate")
    return replace(model, network=network, card=model.card | {"temperature": {"value": temperature, "source": source}})
