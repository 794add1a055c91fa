"""Networks exported to ONNX, and what the model file gives for the same recordings."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from networks import trained
from onnx import TensorProto, helper

from sertk.frontend.options import FbankOptions
from sertk.models.classifier import Classifier
from sertk.models.modelfile import Model
from sertk.models.onnxexport import export_onnx
from sertk.models.onnxfile import load_onnx

LABELS = ["angry", "hap", "neu", "sad"]
PATH = Path("final.pt")
PLAIN = FbankOptions(num_mel_bins=16)


def model(options=PLAIN, cmvn="segment", **network):
    """A model of a small network; `network` are fields of its NetworkSpec."""
    return Model(
        trained(bins=options.dim, **network), LABELS, {"fbank": options.settings(), "cmvn": cmvn}, {}, "d1" * 32
    )


def exported(model, folder, at="posterior"):
    """The model exported to out.onnx in a folder, and read again."""
    export_onnx(model, PATH, folder / "out.onnx", at)
    return load_onnx(folder / "out.onnx", num_threads=1)


def voices(*lengths):
    """Noise under an envelope, on an offset, 16-bit integers as float32."""
    rng = np.random.default_rng(0)
    return [np.round(300 + rng.normal(0, 2000, n) * np.hanning(n + 2)[1:-1]).astype(np.float32) for n in lengths]


def expected(model, samples, at="posterior"):
    """The output of the model file for one recording."""
    classifier = Classifier(model, PATH)
    return classifier.output(
        classifier.features(samples.astype(np.int16), classifier.extract.options.sample_frequency), at
    )


def run_graph(graph, output, shape, **inputs):
    """Compute a graph's output with ONNX Runtime; all are float32 arrays."""
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in inputs.items()]
    out = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
    content = helper.make_model(helper.make_graph(graph.nodes, "test", made, [out], graph.constants),
                                opset_imports=[helper.make_opsetid("", 18)], ir_version=8)  # fmt: skip
    onnx.checker.check_model(content)
    session = onnxruntime.InferenceSession(content.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([output], inputs)[0]
