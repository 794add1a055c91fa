"""The cosine classifier: what a margin loss trains in place of the output layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class CosineOutput(nn.Module):
    """Scaled cosines between an embedding and a centre for each label; with sub-centres, of the nearest one.

    Computed in float32 under autocast too: near 1 the numbers of bfloat16 are 0.004 apart, an eighth in a logit of scale 32.

    Source: Wang et al. 2018 (CosFace); Deng et al. 2020 (Sub-center ArcFace).

    Args:
        dim: of an embedding.
        num_labels: outputs.
        scale: factor of the cosines.
        subcentres: centres for each label.

    Shape:
        - Input: (batch, dim)
        - Output: (batch, num_labels), logits in ±scale

    Example:
        >>> output = CosineOutput(2, 2, scale=10.0)
        >>> _ = output.weight.data.copy_(torch.tensor([[5.0, 0.0], [3.0, 4.0]]))
        >>> output(torch.tensor([[2.0, 0.0]])).round(decimals=4)
        tensor([[10.,  6.]], grad_fn=<RoundBackward1>)
    """

    def __init__(self, dim: int, num_labels: int, scale: float, subcentres: int = 1) -> None:
        super().__init__()
        self.scale, self.subcentres = scale, subcentres
        # Labels first: the sub-centres of a label are neighbours.
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_labels * subcentres, dim)))

    def forward(self, embedding: Tensor) -> Tensor:
        """Logits of embeddings."""
        with torch.autocast(embedding.device.type, enabled=False):
            cosines = functional.linear(functional.normalize(embedding.float()), functional.normalize(self.weight))
            if self.subcentres > 1:
                cosines = cosines.unflatten(1, (-1, self.subcentres)).amax(dim=2)
            return self.scale * cosines
