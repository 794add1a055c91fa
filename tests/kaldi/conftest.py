"""Tables that several files of this folder read."""

import pytest

from sertk.kaldi.tables import read_table, table_writer


@pytest.fixture(params=["none", "cm", "cm2", "cm3"])
def table(here, feats, request):
    with table_writer("ark,scp:x.ark,x.scp", compress=request.param) as write:
        for key, value in feats.items():
            write(key, value)
    return dict(read_table("scp:x.scp"))
