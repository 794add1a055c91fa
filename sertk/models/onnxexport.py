"""A model as an ONNX file: samples in, posteriors or embedding out, with the front end in it."""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from sertk import __version__
from sertk.atomic import atomic_file
from sertk.errors import SertkError
from sertk.frontend.extractor import FeatureExtractor
from sertk.frontend.options import FbankOptions
from sertk.models.calibrated import temperature_of
from sertk.models.fuse import for_evaluation
from sertk.models.modelfile import Model, check_outputs
from sertk.models.onnxfile import DIGEST, FORMAT, PREFIX, UNSIGNED, sealed
from sertk.models.onnxfrontend import front_end_nodes
from sertk.models.onnxgraph import Graph
from sertk.models.onnxnetwork import network_nodes

# ONNX Runtime 1.14 (February 2023) and later run it.
OPSET, IR_VERSION = 18, 8


def export_onnx(model: Model, path: Path, out: Path, at: str = "posterior") -> None:
    """Write a model as an ONNX file, atomically.

    Args:
        model: from a model file.
        path: of that file, for messages.
        out: the ONNX file.
        at: "posterior" or "embedding".

    Raises:
        SertkError: the front end is unknown, normalises over groups of segments, or adds dither.
    """
    with atomic_file(out, "wb") as file:
        file.write(onnx_bytes(model, path, at))


def onnx_bytes(model: Model, path: Path, at: str = "posterior") -> bytes:
    """The content of an ONNX file; see export_onnx."""
    extract = FeatureExtractor.of_model(model.frontend, path)
    if at == "posterior":
        check_outputs(model, path)
    if extract.options.dither:
        raise SertkError(f"{path}: its features have dither {extract.options.dither:g}, which no graph repeats")
    graph = Graph()
    network = for_evaluation(model.network, torch.device("cpu"))
    feats, valid, frames = front_end_nodes(graph, extract.options, model.frontend["cmvn"])
    outputs = network_nodes(graph, network, feats, frames, at)
    # Where there is no sound or no frame, no number is right.
    result = graph.add("Where", graph.add("Unsqueeze", valid, [1]), outputs, np.float32(np.nan))
    graph.add("Identity", result, name=at)
    return _serialised(graph, model, at)


def _serialised(graph: Graph, model: Model, at: str) -> bytes:
    spec = model.network.spec
    dim = (spec.embedding_dim or spec.pooled_dim) if at == "embedding" else len(model.labels)
    inputs = [
        helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["batch", "samples"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
    ]
    outputs = [helper.make_tensor_value_info(at, TensorProto.FLOAT, ["batch", dim])]
    about = "samples: float32 in ±1, zeros after a recording's end; lengths: samples of each recording"
    content = helper.make_model(
        helper.make_graph(graph.nodes, "sertk", inputs, outputs, graph.constants, doc_string=about),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="sertk",
        producer_version=__version__,
    )
    onnx.checker.check_model(content)
    metadata = {
        "format": FORMAT,
        "at": at,
        "labels": json.dumps(list(model.labels), ensure_ascii=False),
        "sample_rate": f"{FbankOptions.of(model.frontend['fbank']).sample_frequency:g}",
        "frontend": json.dumps(model.frontend),
        "network": json.dumps(model.network.spec.plain()),
        "model_digest": model.digest,
        **({"temperature": repr(temperature)} if (temperature := temperature_of(model)) else {}),
        **{name: str(model.card[name]) for name in ("licence", "source") if name in model.card},
        DIGEST: UNSIGNED,  # the last one: sealed() looks for it at the end
    }
    helper.set_model_props(content, {PREFIX + name: value for name, value in metadata.items()})
    return sealed(content.SerializeToString(deterministic=True))
