"""Speech emotion recognition from speaker networks, in the shape of a Kaldi recipe.

The public names below are loaded when they are first used, so that `import sertk` takes no time. `docs/python.md` shows
each of them at work.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Public name -> the module that has it.
_HOME = {
    "SertkError": "sertk.errors",
    "UnfitAudio": "sertk.frontend.unfit",
    "FbankOptions": "sertk.frontend.options",
    "FeatureExtractor": "sertk.frontend.extractor",
    "read_list": "sertk.datadir.lists",
    "write_list": "sertk.datadir.lists",
    "read_table": "sertk.kaldi.tables",
    "open_table": "sertk.kaldi.tables",
    "table_writer": "sertk.kaldi.tables",
    "Classifier": "sertk.models.classifier",
    "load_model": "sertk.models.classifier",
    "NetworkSpec": "sertk.models.spec",
    "HeadSpec": "sertk.models.spec",
    "ResNet": "sertk.models.resnet",
    "StatsPool": "sertk.models.pooling",
    "HeadSettings": "sertk.training.settings",
    "train_head": "sertk.training.head",
    "Accuracy": "sertk.scoring.emotion",
    "score": "sertk.scoring.emotion",
}
__all__ = [
    "Accuracy",
    "Classifier",
    "FbankOptions",
    "FeatureExtractor",
    "HeadSettings",
    "HeadSpec",
    "NetworkSpec",
    "ResNet",
    "SertkError",
    "StatsPool",
    "UnfitAudio",
    "__version__",
    "load_model",
    "open_table",
    "read_list",
    "read_table",
    "score",
    "table_writer",
    "train_head",
    "write_list",
]

if TYPE_CHECKING:
    from sertk.datadir.lists import read_list, write_list
    from sertk.errors import SertkError
    from sertk.frontend.extractor import FeatureExtractor
    from sertk.frontend.options import FbankOptions
    from sertk.frontend.unfit import UnfitAudio
    from sertk.kaldi.tables import open_table, read_table, table_writer
    from sertk.models.classifier import Classifier, load_model
    from sertk.models.pooling import StatsPool
    from sertk.models.resnet import ResNet
    from sertk.models.spec import HeadSpec, NetworkSpec
    from sertk.scoring.emotion import Accuracy, score
    from sertk.training.head import train_head
    from sertk.training.settings import HeadSettings


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'sertk' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
