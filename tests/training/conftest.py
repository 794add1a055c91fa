import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def toy(tmp_path):
    """A folder with the toy task's feats.scp, utt2label and utt2fold."""
    from toydata import write_toy_data

    return write_toy_data(tmp_path)


@pytest.fixture
def train(toy, call):
    """train("exp/a", "--epochs", 2, …): train-resnet on the toy task, in this process."""
    from toydata import NETWORK

    def run(name, *options, code=0, network=NETWORK):
        return call(
            "train-resnet", *network, *options, f"scp:{toy}/feats.scp", toy / "utt2label", toy / name, code=code
        )

    return run
