"""config.yaml of other toolkits: mappings, scalars and references."""

import pytest

from sertk.models.foreignconfig import parse, read_config, setting

TEXT = """\
# a comment
fbank_dim: 80
model_args:
  feat_dim: <fbank_dim>   # refers to the line above
  pooling_func: 'TSTP'
dataset_args:
  fbank_args:
    dither: 1.0
  speeds: [0.9, 1.0, 1.1]
cmvn: true
seed: ~
"""


def test_mappings_and_scalars_are_read(tmp_path):
    (tmp_path / "config.yaml").write_text(TEXT)
    config = read_config(tmp_path / "config.yaml")
    assert config["fbank_dim"] == 80 and config["cmvn"] is True and config["seed"] is None
    assert config["dataset_args"]["fbank_args"] == {"dither": 1.0}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model_args", "feat_dim"), 80),
        (("model_args", "pooling_func"), "TSTP"),
        (("dataset_args", "fbank_args", "dither"), 1.0),
        (("seed",), "unset"),
        (("model_args", "pooling_func", "deeper"), "unset"),
    ],
)
def test_settings_are_found_by_path_with_a_default(path, value):
    assert setting(parse(TEXT), *path, default="unset") == value
