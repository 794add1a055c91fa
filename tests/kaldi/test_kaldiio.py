"""kaldiio, which scripts around a recipe are written with, and sertk read each other's tables."""

import kaldiio
import numpy as np
import pytest

from sertk.kaldi.tables import open_table, read_table, table_writer

FEATS = {f"utt{i}": np.random.default_rng(i).normal(size=(5 + i, 7)).astype(np.float32) for i in range(4)}
# Errors of Kaldi's compression formats, in the units of features with deviation 1.
ERROR = {"none": 0, "cm": 0.05, "cm2": 2e-4, "cm3": 0.05}


@pytest.mark.parametrize("compress", ERROR)
def test_kaldiio_reads_what_we_write(tmp_path, compress):
    with table_writer(f"ark,scp:{tmp_path}/x.ark,{tmp_path}/x.scp", compress=compress) as write:
        for key, feats in FEATS.items():
            write(key, feats)
    for found in (dict(kaldiio.load_scp(f"{tmp_path}/x.scp")), dict(kaldiio.load_ark(f"{tmp_path}/x.ark"))):
        assert list(found) == list(FEATS)
        for key, feats in FEATS.items():
            np.testing.assert_allclose(found[key], feats, atol=ERROR[compress])


# kaldiio's numbers of Kaldi's compression methods: 2 is CM, 3 is CM2, 5 is CM3.
@pytest.mark.parametrize(("method", "compress"), [(None, "none"), (2, "cm"), (3, "cm2"), (5, "cm3")])
def test_we_read_what_kaldiio_writes(tmp_path, method, compress):
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/x.ark,{tmp_path}/x.scp", compression_method=method) as write:
        for key, feats in FEATS.items():
            write(key, np.clip(feats, 0, 1) if compress == "cm3" else feats)  # method 5 is for numbers from 0 to 1
    with open_table(f"scp:{tmp_path}/x.scp") as table:
        for source in (f"scp:{tmp_path}/x.scp", f"ark:{tmp_path}/x.ark"):
            for key, found in read_table(source):
                wanted = np.clip(FEATS[key], 0, 1) if compress == "cm3" else FEATS[key]
                np.testing.assert_allclose(found, wanted, atol=ERROR[compress])
                np.testing.assert_array_equal(table.rows(key, 1, 4), found[1:4])
