"""Device-resident chunks: all features lie in the GPU's memory, and batches are gathered there."""

import numpy as np
import torch
from torch import Tensor

from sertk.data.chunks import ChunkRule
from sertk.data.loader import HostChunks, prefetch
from sertk.data.sampler import Batch
from sertk.data.store import Store


class ResidentChunks:
    """Chunks cut, padded and masked on a device that holds all features; bit for bit those of HostChunks.

    A thread of the host draws where chunks and masks lie, some dozen integers a chunk; only these are sent. Features are held as
    float32, so that a chunk is a copy whatever the table's format was. 16 bits would hold twice as much, but few corpora lie
    between what fits so (80 GB: 400 h) and what fits in neither (VoxCeleb: 500 GB).

    Args:
        store: the segments.
        rule: how chunks are cut.
        device: that holds them.
    """

    threads = 1

    def __init__(self, store: Store, rule: ChunkRule, device: torch.device) -> None:
        self.store, self.rule, self.device = store, rule, device
        ends = np.cumsum(store.num_frames)
        self.starts = ends - store.num_frames
        self.feats = torch.empty(int(ends[-1]), store.bins, device=device)
        whole = prefetch(lambda segment: store[segment].rows(0, int(store.num_frames[segment])), range(len(store)),
                         depth=16, threads=store.readers)  # fmt: skip
        for start, end, rows in zip(self.starts.tolist(), ends.tolist(), whole):
            self.feats[start:end] = torch.from_numpy(rows)
        mean = np.zeros(store.bins, np.float32) if rule.mean is None else rule.mean
        self.mean = torch.from_numpy(mean).to(device)
        self.num_freq = max(policy.num_freq for policy in rule.policies)
        self.num_time = max(policy.num_time for policy in rule.policies)

    def prepare(self, batch: Batch, epoch: int) -> tuple[Tensor, int]:
        """Draw where the chunks of a batch and their masks lie; also returns T.

        Shape: (size, 2 + 2 * num_freq + 2 * num_time) integers: first row, rows, first and last + 1 of every mask
        """
        plan = np.zeros((len(batch.items), 2 + 2 * self.num_freq + 2 * self.num_time), np.int64)
        for row, (segment, version, copy) in zip(plan, batch.items.tolist()):
            draws = self.rule.draws(self.store.keys[segment], epoch, version, copy)
            length = int(self.store.num_frames[segment])
            first, valid, masks = self.rule.place(length, self.store.bins, draws, version, batch.frames)
            row[:2] = self.starts[segment] + first, valid
            num_freq = self.rule.policies[version].num_freq
            for number, (_, span) in enumerate(masks[:num_freq]):
                row[2 + 2 * number : 4 + 2 * number] = span.start, span.stop
            for number, (span, _) in enumerate(masks[num_freq:], self.num_freq):
                row[2 + 2 * number : 4 + 2 * number] = span.start, span.stop
        return torch.from_numpy(plan), batch.frames

    def finish(self, prepared: tuple[Tensor, int]) -> Tensor:
        """Gather the chunks. Shape: (size, bins, frames), float32."""
        plan, frames = prepared
        plan = plan.to(self.device, non_blocking=True)
        first, valid, spans = plan[:, :1], plan[:, 1:2], plan[:, 2:].unflatten(1, (-1, 2))
        place = torch.arange(frames, device=self.device)[None]
        # Which of its rows a frame of the chunk is; with zeros behind them, those are hidden below.
        row = torch.minimum(place, valid - 1) if self.rule.padding == "edge" else place % valid
        bins = torch.arange(self.store.bins, device=self.device)[None]
        in_time = _within(row if self.rule.mask_scope == "segment" else place, spans[:, self.num_freq :])
        if self.rule.padding == "zero":
            in_time |= place >= valid
        hidden = in_time[:, :, None] | _within(bins, spans[:, : self.num_freq])[:, None, :]
        return torch.where(hidden, self.mean, self.feats[first + row]).transpose(1, 2)


def source_of_chunks(store: Store, rule: ChunkRule, device: torch.device) -> HostChunks | ResidentChunks:
    """Device-resident chunks if the features fit into half of a GPU's free memory, else chunks cut on the host.

    On a CPU gathering by indices costs three times as much as copying.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if int(store.num_frames.sum()) * store.bins * 4 <= free / 2:
            return ResidentChunks(store, rule, device)
    return HostChunks(store, rule, device)


def _within(places: Tensor, spans: Tensor) -> Tensor:
    """Boolean mask of the places inside one of the spans. Shape: (1 or batch, n), (batch, m, 2) -> (batch, n), boolean."""
    return ((places[:, None] >= spans[..., :1]) & (places[:, None] < spans[..., 1:])).any(dim=1)
