"""ResNet34 over log-mel spectrograms: trunk, pooling and head.

Source: Zeinali et al. 2019 (BUT's VoxSRC system), as PReLU network in Padi et al. 2021, section 4.2.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sertk.models.activation import activation
from sertk.models.cosine import CosineOutput
from sertk.models.normact import conv_norm_act
from sertk.models.pooling import frame_mask, pooling_of
from sertk.models.segmentnorm import normalise_segments
from sertk.models.spec import STRIDES, HeadSpec, NetworkSpec

# A deviation below this part of the mean is rounding of float32: the column is constant.
CONSTANT = 1e-7
AfterStage = Callable[[int, Tensor, Tensor | None], None]

__all__ = ["Head", "InputNorm", "NetworkSpec", "ResNet", "Trunk", "count_parameters"]


class Block(nn.Module):
    """Two 3×3 convolutions with BatchNorm around a shortcut (He et al. 2016, basic block).

    Shape:
        - Input: (batch, channels_in, bins, frames), once for the convolutions and once for the shortcut; a mask of the
          output's resolution, or None
        - Output: (batch, channels, bins / stride, frames / stride), twice (conv_norm_act)
    """

    def __init__(self, channels_in: int, channels: int, stride: int, act: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = activation(act, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act2 = activation(act, channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor, around: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Add the block's output to its shortcut; frames beyond the mask are 0."""
        y, _ = conv_norm_act(x, self.conv1, self.bn1, self.act1, mask=mask)
        return conv_norm_act(y, self.conv2, self.bn2, self.act2, around, mask, projection=self.shortcut)


class InputNorm(nn.Module):
    """Normalises every bin by its mean and deviation over the training segments.

    Shape:
        - Input and output: (batch, bins, frames)
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bins))
        self.register_buffer("deviation", torch.ones(bins))

    def forward(self, feats: Tensor) -> Tensor:
        """Normalise in float32: of a level of 15, bf16 keeps steps of 0.06."""
        return (feats.float() - self.mean[:, None]) / self.deviation[:, None]

    def adapt(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the statistics, (bins,) each."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)


class Trunk(nn.Module):
    """The convolutions: a stem and four stages of blocks, 4096 numbers a frame in the paper's size.

    Shape:
        - Input: (batch, bins, frames), lengths (batch,) in frames or None where none is padded
        - Output: (batch, 8 * channels, bins / 8, frames / 8), lengths in frames of the output or None

    In a padded batch every convolution's input is zero beyond a segment's end, as it would be if the segment were
    alone: what comes out for a segment does not depend on what it was batched with.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        width = spec.channels
        self.norm = InputNorm(spec.bins) if spec.input_norm else nn.Identity()
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.act = activation(spec.activation, width)
        self.stages = nn.ModuleList()
        channels_in = width
        for number, (stride, blocks) in enumerate(zip(STRIDES, spec.blocks)):
            channels = width << number
            stage = nn.ModuleList()
            for block in range(blocks):
                stage.append(Block(channels_in, channels, stride if block == 0 else 1, spec.activation))
                channels_in = channels
            self.stages.append(stage)

    def mean_input(self) -> np.ndarray | None:
        """What the trunk normalises to 0, (bins,): with it masked cells are filled. None: 0 itself."""
        return self.norm.mean.cpu().numpy() if isinstance(self.norm, InputNorm) else None

    def forward(
        self, feats: Tensor, lengths: Tensor | None = None, after_stage: AfterStage | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Maps of the last stage, and the lengths of the segments in its frames.

        Args:
            feats: (batch, bins, frames).
            lengths: (batch,) in frames.
            after_stage: called with number (from 1), maps and lengths of every stage.
        """
        # A trunk in bf16 has its input normalisation in float32 (see sertk.models.fuse).
        x = self.norm(feats).to(self.stem.weight.dtype)[:, None]
        mask = None
        if lengths is not None:
            mask = frame_mask(lengths, x.shape[-1])
        x, around = conv_norm_act(x if mask is None else x * mask, self.stem, self.bn, self.act, mask=mask)
        for number, (stride, stage) in enumerate(zip(STRIDES, self.stages), 1):
            if lengths is not None and stride > 1:
                lengths = torch.div(lengths + stride - 1, stride, rounding_mode="floor")
                mask = frame_mask(lengths, -(-x.shape[-1] // stride))
            for block in stage:
                x, around = block(x, around, mask)
            if after_stage:
                after_stage(number, x, lengths)
        return x, lengths


class Head(nn.Module):
    """The fully connected layers, which transfer replaces: embedding, BatchNorm, activation, output.

    An imported one may have a further layer before the embedding, no BatchNorm, and no output. With an embedding of 0
    numbers there is the output alone. Where the head takes what normalisation removes (level_input), it standardises that,
    as no layer before it does. With cosines as the output there is no activation: they are those of the embedding
    itself, which speakers are compared by.

    Shape:
        - Input: (batch, pooled_dim)
        - Output: (batch, num_labels), logits
    """

    def __init__(self, spec: NetworkSpec | HeadSpec) -> None:
        super().__init__()
        self.hidden = nn.Sequential()
        if spec.hidden_dim:
            first = nn.Linear(spec.pooled_dim, spec.hidden_dim)
            self.hidden = nn.Sequential(first, activation(spec.activation, spec.hidden_dim))
        self.removed_dim = spec.removed_dim if isinstance(spec, NetworkSpec) else 0
        if self.removed_dim:
            self.register_buffer("mean", torch.zeros(self.removed_dim))
            self.register_buffer("scale", torch.ones(self.removed_dim))
        before, dim = spec.hidden_dim or spec.pooled_dim, spec.embedding_dim
        self.embedding = nn.Linear(before, dim) if dim else nn.Identity()
        self.bn = nn.BatchNorm1d(dim) if dim and spec.embedding_norm else nn.Identity()
        if isinstance(spec, NetworkSpec) and spec.output == "cosine":
            self.act = nn.Identity()
            self.output = CosineOutput(dim or before, spec.num_labels, spec.scale, spec.subcentres)
            return
        self.act = activation(spec.activation, dim) if dim else nn.Identity()
        self.output = nn.Linear(dim or before, spec.num_labels) if spec.num_labels else nn.Identity()

    def standardise(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Set the standardisation of a head that has one; columns that are constant in training become 0.

        Args:
            mean: of the columns that it standardises, float64.
            deviation: as the mean.
        """
        constant = deviation <= CONSTANT * np.abs(mean)
        scale = np.where(constant, 0, 1 / np.where(constant, 1, deviation))
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))

    def embed(self, pooled: Tensor) -> Tensor:
        """The embedding, after its BatchNorm where there is one. Shape: (batch, pooled_dim) -> (batch, embedding_dim)."""
        if self.removed_dim:
            maps, removed = pooled.split([pooled.shape[1] - self.removed_dim, self.removed_dim], dim=1)
            pooled = torch.cat([maps, (removed - self.mean) * self.scale], dim=1)
        return self.bn(self.embedding(self.hidden(pooled)))

    def forward(self, pooled: Tensor) -> Tensor:
        """Logits of pooled vectors."""
        return self.output(self.act(self.embed(pooled)))


class ResNet(nn.Module):
    """Trunk, pooling and head.

    Shape:
        - Input: (batch, bins, frames) normalised log-mels (not normalised with level_input or input_norm), lengths (batch,) in
          frames or None where none is padded
        - Output: (batch, num_labels), logits
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.trunk = Trunk(spec)
        self.pool = pooling_of(spec)
        self.head = Head(spec)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def pooled(self, feats: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Pooled statistics, the input of the head. Shape: (batch, bins, frames) -> (batch, pooled_dim), float32."""
        feats, removed = self.prepared(feats, lengths)
        return self.with_removed(self.pool(*self.trunk(feats, lengths)), removed)

    def prepared(self, feats: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The trunk's input, and what the network removed from the features; None if they are normalised already.

        Shape: (batch, bins, frames) -> the same, (batch, removed_dim)
        """
        return normalise_segments(feats, lengths) if self.spec.level_input else (feats, None)

    @staticmethod
    def with_removed(pooled: Tensor, removed: Tensor | None) -> Tensor:
        """The head's input: pooled maps, and what the network removed from the features, if it did."""
        return pooled if removed is None else torch.cat([pooled, removed], dim=1)

    def forward(self, feats: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits of segments."""
        return self.head(self.pooled(feats, lengths))

    def take_trunk(self, other: "ResNet") -> None:
        """Copy the weights of another network's trunk, and of its pooling if this is of the same kind."""
        self.trunk.load_state_dict(other.trunk.state_dict())
        if self.spec.pooling == other.spec.pooling:
            self.pool.load_state_dict(other.pool.state_dict())

    def layers(self) -> list[nn.Module]:
        """The trunk bottom up: stem (with its BatchNorm and activation), then every block."""
        stem = nn.ModuleList([self.trunk.stem, self.trunk.bn, self.trunk.act])
        return [stem, *(block for stage in self.trunk.stages for block in stage)]


def count_parameters(module: nn.Module) -> int:
    """Trainable numbers in `module`."""
    return sum(parameter.numel() for parameter in module.parameters())
