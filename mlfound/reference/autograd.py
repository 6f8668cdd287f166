"""Loss and gradients of an MLP by torch.nn.functional and autograd, without a line of ours."""

from collections.abc import Mapping

from torch import Tensor

from mlfound.reference.torch_functional import torch_functional


def loss_and_gradients(
    parameters: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    relu_shift: float,
    loss: str,
    masks: Mapping[int, Tensor] = {},
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradients of `torch_functional`, with the input's gradient."""
    value, gradients = torch_functional(parameters, x, y, relu_shift, loss, masks=masks)
    return value, gradients
