"""embed-segments: options that do not go together, compression."""

import numpy as np

from sertk.kaldi.tables import read_table


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
