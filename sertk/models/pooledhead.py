"""A head with a pooling of its own, on the maps of a frozen trunk."""

from torch import Tensor, nn

from sertk.models.pooling import pooling_of
from sertk.models.resnet import Head
from sertk.models.spec import NetworkSpec, after_strides


class PooledHead(nn.Module):
    """Pooling and head of a network, in training on the maps that its trunk gives for chunks of one length.

    Args:
        spec: of the network.
        frames: of the chunks.

    Shape:
        - Input: (batch, channels * bins * frames), of the maps, as a network without pooling flattens them
        - Output: (batch, num_labels), logits
    """

    def __init__(self, spec: NetworkSpec, frames: int) -> None:
        super().__init__()
        self.shape = (8 * spec.channels, after_strides(spec.bins), after_strides(frames))
        self.pool, self.head = pooling_of(spec), Head(spec)

    def forward(self, maps: Tensor) -> Tensor:
        """Logits of flattened maps."""
        return self.head(self.pool(maps.unflatten(1, self.shape)))
