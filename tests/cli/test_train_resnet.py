"""train-resnet: invalid calls."""


def test_frozen_batchnorm_needs_frozen_layers(toy, train):
    err = train("exp", "--frozen-batchnorm", "train", code=2).err
    assert "--frozen-batchnorm is for --train head and from-block-N: nothing is frozen" in err
