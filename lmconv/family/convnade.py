"""ConvNADE (Uria, Cote, Gregor, Murray and Larochelle 2016, section 5): convolutions, all orders.

Two planes go in, the known pixels and the mask of them, through convolutions that keep the size; weights are shared
over the image, so any size will do. The paper's networks alternate full and valid convolutions, or a U of them with
pooling; here all are of the same size with residual connections over two layers each, which the paper does not have.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family.orderless import Orderless
from lmconv.family.settings import ConvnadeConfig
from lmconv.networks.lists import module_list
from lmconv.networks.model import outputs


class Network(Orderless[ConvnadeConfig]):
    """`first`, `layers` and the 1 x 1 `out`."""

    def __init__(self, config: ConvnadeConfig) -> None:
        super().__init__(config)
        f, kernel = config.filters, config.kernel
        self.first = nn.Conv2d(config.channels + 1, f, kernel, padding="same")
        self.layers = module_list(nn.Conv2d(f, f, kernel, padding="same") for _ in range(config.layers))
        self.out = nn.Conv2d(f, outputs(config), 1)

    def given(self, x: Tensor, known: Tensor) -> Tensor:
        """As Orderless."""
        h = self.first(torch.cat((x, known), 1))
        for first, second in zip(self.layers[::2], [*self.layers[1::2], None]):
            inner = first(F.relu(h))
            h = h + (inner if second is None else second(F.relu(inner)))
        return self.out(F.relu(h))
