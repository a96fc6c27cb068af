"""Parts of a batch computed at once, in threads that share the network's weights: on a CPU, small networks gain by it.

A small convolution does not keep several cores busy, and several convolutions of one core each do. The gradients are
added in the order of the parts, so that a run is the same bits as with as many parts one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from dtool.training.batch import Batch


class Replicas:
    """So many threads, each with its share of PyTorch's own threads, for the gradients of `parameters`."""

    def __init__(self, count: int, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = [one for one in parameters if one.requires_grad]
        share = max(1, torch.get_num_threads() // count)
        self._threads = ThreadPoolExecutor(count, "replica", torch.set_num_threads, (share,))

    def add_gradients(self, compute: Callable[[Batch, int], Tensor], parts: Sequence[Batch]) -> list[Tensor]:
        """The loss of each part, detached; their gradients are added to the parameters' `grad`.

        compute: the loss of a part and its number, with its graph; called from several threads at once.
        """

        def work(part: Batch, number: int) -> tuple[Tensor, tuple[Tensor | None, ...]]:
            loss = compute(part, number)
            return loss.detach(), torch.autograd.grad(loss, self._parameters, allow_unused=True)

        losses = []
        for loss, gradients in self._threads.map(work, parts, range(len(parts))):
            losses.append(loss)
            for parameter, gradient in zip(self._parameters, gradients, strict=True):
                if gradient is None:
                    continue
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)  # in the layout of the weights
                parameter.grad += gradient
        return losses
