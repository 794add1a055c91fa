"""embed-segments: options that do not go together, compression."""

import numpy as np
import torch

from sertk.kaldi.tables import read_manifest, read_table
from sertk.models.modelfile import load_model


def test_maps_of_several_lengths_are_refused(toy, call, speakers):
    words = (speakers, f"scp:{toy}/feats.scp", f"ark:{toy}/m.ark")
    assert "--chunk-frames one number" in call("embed-segments", "--draws", 2, "--at", "map", *words, code=2).err
    assert "--at map takes --draws" in call("embed-segments", "--at", "map", "--chunk-frames", 24, *words, code=2).err


def test_draws_in_16_bits_take_half_the_space(toy, call, speakers):
    sizes, tables = [], []
    for form in ("none", "cm2"):
        table = f"ark,scp:{toy}/{form}.ark,{toy}/{form}.scp"
        words = ("--draws", 1, "--compress", form, "--chunk-frames", 24)
        call("embed-segments", *words, speakers, f"scp:{toy}/feats.scp", table)
        sizes.append((toy / f"{form}.ark").stat().st_size)
        tables.append(dict(read_table(f"scp:{toy}/{form}.scp")))
    # Two bytes a number instead of four; the header of a compressed matrix is 7 bytes longer.
    assert sizes[0] - sizes[1] == sum(2 * exact.size - 7 for exact in tables[0].values())
    for key, exact in tables[0].items():
        np.testing.assert_allclose(tables[1][key], exact, atol=np.ptp(exact) / 65535)
    words = ("--compress", "cm2", speakers, f"scp:{toy}/feats.scp", f"ark:{toy}/v.ark")
    assert "--compress is for --draws" in call("embed-segments", *words, code=2).err


def test_stages_are_mean_and_deviation_of_their_maps(toy, call, speakers):
    """Computed stage by stage with the network as it was trained; draws of stages are those of their chunks."""
    call("embed-segments", "--at", "stage2,stage4", speakers, f"scp:{toy}/feats.scp", f"ark:{toy}/s.ark")
    call("embed-segments", "--at", "pool", speakers, f"scp:{toy}/feats.scp", f"ark:{toy}/p.ark")
    vectors, pooled = (dict(read_table(f"ark:{toy}/{name}.ark", kind="vector")) for name in "sp")
    trunk = load_model(speakers).network.trunk
    for key, feats in list(read_table(f"scp:{toy}/feats.scp"))[:5]:
        with torch.no_grad():
            maps = trunk.act(trunk.bn(trunk.stem(torch.from_numpy(feats.T.copy())[None, None])))
            expected = []
            for number, stage in enumerate(trunk.stages, 1):
                for block in stage:
                    maps, _ = block(maps, maps, None)
                if number in (2, 4):
                    wide = maps[0].numpy().astype(np.float64)
                    expected += [wide.mean(-1).ravel(), np.sqrt(wide.var(-1) + 1e-5).ravel()]
        np.testing.assert_allclose(vectors[key], np.concatenate(expected), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(vectors[key][-len(pooled[key]) :], pooled[key], rtol=1e-5, atol=1e-6)
    assert read_manifest(f"ark:{toy}/s.ark").settings["at"] == "stage2,stage4"
    words = (speakers, f"scp:{toy}/feats.scp")
    for at in ("pool", "stage4"):
        draws = ("--draws", 1, "--chunk-frames", 24, "--compress", "none", "--at", at)
        call("embed-segments", *draws, *words, f"ark,scp:{toy}/{at}.ark,{toy}/{at}.scp")
    one, other = (dict(read_table(f"ark:{toy}/{at}.ark")) for at in ("pool", "stage4"))
    for key in one:
        np.testing.assert_allclose(one[key], other[key], rtol=1e-6)
    assert "stage1 to stage4" in call("embed-segments", "--at", "stage5", *words, f"ark:{toy}/x.ark", code=2).err
