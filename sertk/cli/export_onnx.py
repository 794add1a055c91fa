"""export-onnx: a model as an ONNX file that takes samples."""

from pathlib import Path

import click

from sertk.cli.command import command
from sertk.cli.types import FILE
from sertk.errors import SertkError


@command
@click.argument("model", metavar="MODEL", type=FILE)
@click.argument("out", metavar="OUT", type=FILE)
@click.option("--at", type=click.Choice(["posterior", "embedding"]), default="posterior", show_default=True,
              help="Output: a probability for each label, or the embedding.")  # fmt: skip
def main(model: Path, out: Path, at: str) -> None:
    """Write a model as an ONNX file: samples in, probabilities out, with the front end in the graph.

    Its inputs are `samples`, float32 (batch, samples) in ±1 at the model's rate, and `lengths`, int64 (batch,). Labels,
    rate, front end and the model's digest are in its metadata. A recording without sound or shorter than a frame gives
    NaN. classify-audio takes the file in place of the model, without torch.

    \b
    e.g.: export-onnx exp/exp1/1/final.pt emotion.onnx
          export-onnx --at embedding exp/resnet34/final.pt speaker.onnx
    See also: classify-audio, train-resnet, transfer-head
    """
    if out.suffix.lower() != ".onnx":
        raise click.UsageError(f"{out}: the name of an ONNX file ends in .onnx (classify-audio goes by it)")
    try:
        from sertk.models.onnxexport import export_onnx
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "ml_dtypes"):
            raise
        raise SertkError(f"{error.name} is not installed: pip install onnx onnxruntime") from None
    from sertk.models.modelfile import load_model

    export_onnx(load_model(model), model, out, at)
