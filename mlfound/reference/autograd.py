"""Loss and gradients of an MLP by torch.nn.functional and autograd, without a line of ours."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional


def loss_and_gradients(
    parameters: Mapping[str, Tensor], x: Tensor, y: Tensor, relu_shift: float, loss: str
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss and its gradients under the names of the parameters, and of the input as `x`.

    Weights are ours, (in, out): torch's linear wants them the other way round. `loss` is "mse" or "cross-entropy".
    """
    leaves = {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}
    leaves["x"] = x.detach().clone().requires_grad_()
    out = leaves["x"]
    depth = len(parameters) // 2
    for n in range(1, depth + 1):
        out = functional.linear(out, leaves[f"w{n}"].T, leaves[f"b{n}"])
        if n < depth:
            out = functional.relu(out) - relu_shift
    if loss == "mse":
        value = functional.mse_loss(out.squeeze(-1), y.to(out.dtype))
    else:
        value = functional.cross_entropy(out, y)
    value.backward()  # type: ignore[no-untyped-call]
    return value.detach(), {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
