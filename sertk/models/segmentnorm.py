"""Normalisation of every segment inside a network, and what it removes: the level of the voice and its spectrum."""

import torch
from torch import Tensor

from sertk.frontend.cmvn import ROUNDING, VAR_FLOOR
from sertk.models.pooling import frame_mask


def normalise_segments(feats: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Normalise every bin over each segment, as sertk.frontend.cmvn.normalise; a constant bin, and padding, become 0.

    Args:
        feats: log-mels that are not normalised.
        lengths: in frames; None where nothing is padded.

    Returns:
        the normalised features, and the mean and standard deviation of every bin, side by side.

    Shape:
        - Input: (batch, bins, frames), (batch,)
        - Output: (batch, bins, frames), (batch, 2 * bins), float32

    Example:
        >>> normal, removed = normalise_segments(torch.tensor([[[1.0, 3.0, 0.0], [5.0, 5.0, 0.0]]]), torch.tensor([2]))
        >>> normal[..., :2].tolist(), removed.tolist()
        ([[[-1.0, 1.0], [0.0, 0.0]]], [[2.0, 5.0, 1.0, 0.0]])
    """
    feats = feats.float()
    if lengths is None:
        lengths = feats.new_full((len(feats),), feats.shape[-1])
    inside, count = frame_mask(lengths, feats.shape[-1])[:, 0], lengths[:, None, None]
    # Frames beyond the end count as the first one, so that they change neither extreme.
    known = torch.where(inside, feats, feats[..., :1])
    varies = known.amax(dim=-1, keepdim=True) > known.amin(dim=-1, keepdim=True)
    mean = (known * inside).sum(dim=-1, keepdim=True) / count
    centred = (known - mean) * inside
    variance = centred.square().sum(dim=-1, keepdim=True) / count
    varies &= variance > (ROUNDING * mean.abs().clamp(min=1)).square()
    variance = variance * varies
    normal = centred * varies / variance.clamp(min=float(VAR_FLOOR)).sqrt()
    return normal, torch.cat([mean, variance.sqrt()], dim=1)[..., 0]
