"""Training of heads from draws."""

import numpy as np
import pytest
import torch
from trainings import DRAW_EPOCHS

from sertk.data.store import load_store, store_of
from sertk.datadir.lists import read_list
from sertk.jobs.drawtable import head_spec
from sertk.kaldi.specifiers import parse_rspecifier
from sertk.models.modelfile import load_model
from sertk.models.resnet import Head, NetworkSpec
from sertk.training.head import HeadTraining, with_head
from sertk.training.heads import train_heads
from sertk.training.settings import HeadSettings, TrainingSettings
from sertk.training.targets import Targets
from sertk.training.trunk_pass import DrawPlan, draw_vectors


@pytest.mark.parametrize(("at", "lengths"), [("pool", (24, 32)), ("map", (24,))])
@pytest.mark.parametrize("resident_bytes", [1 << 30, 0])
def test_head_from_draws_equals_head_through_the_trunk(toy, speakers, at, lengths, resident_bytes):
    """The obvious way: every epoch's chunks are passed through the frozen trunk, batch by batch."""
    model, store = load_model(speakers), load_store(parse_rspecifier(f"scp:{toy}/feats.scp"))
    plan = DrawPlan(TrainingSettings().chunk_rule(), DRAW_EPOCHS, lengths)
    settings = HeadSettings(epochs=DRAW_EPOCHS)
    truth = read_list(toy / "utt2label")
    names = sorted(set(truth.values()))
    spec = head_spec(model, {"at": at, "chunk_frames": list(lengths)}, 4)
    network = with_head(model.network, spec, Head(spec))
    targets = Targets(torch.tensor([names.index(truth[key]) for key in store.keys]))
    cpu = torch.device("cpu")

    def training():
        return HeadTraining(spec, np.arange(0, 40, 2), targets, settings, cpu)

    table = dict(draw_vectors(model.network, store, plan, at, cpu))
    fast = training()
    drawn = store_of(store.keys, [table[key] for key in store.keys])
    for _ in train_heads({"1": fast}, {"1": np.arange(40)}, drawn, cpu, resident_bytes=resident_bytes):
        pass

    slow = training()
    for epoch in range(DRAW_EPOCHS):

        @torch.no_grad()
        def through_the_trunk(segments, versions, epoch=epoch):
            rows = [plan.chunk(store[int(s)], 3 * epoch + int(v)) for s, v in zip(segments, versions)]
            return torch.cat([network.pooled(torch.from_numpy(row.T.copy())[None]) for row in rows])

        slow.train_epoch(through_the_trunk)
    for a, b in zip(fast.head.parameters(), slow.head.parameters()):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


SPEC = NetworkSpec(4, bins=16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8)


def test_balanced_head_sees_each_class_equally_often():
    targets = Targets(torch.tensor([0] * 20 + [1] * 4 + [2] * 3 + [3] * 5))
    members = np.arange(1, 32)  # not the first
    head = HeadTraining(SPEC, members, targets, HeadSettings(sampling="balanced"), torch.device("cpu"))
    seen = []

    def vectors(segments, versions):
        seen.extend(segments.tolist())
        return torch.zeros(len(segments), SPEC.pooled_dim)

    head.train_epoch(vectors)
    assert len(seen) == 93 and 0 not in seen
    assert sorted(np.bincount(targets.labels[seen])) == [
        21,
        24,
        24,
        24,
    ]  # 31 segments: 7 or 8 of each class, three versions
