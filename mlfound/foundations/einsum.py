"""einsum made of broadcasting, elementwise products and sums.

A label names an axis. Operands are aligned on one axis per label and multiplied element by element; a label that
the output lacks is summed, as soon as no later operand has it. `...` stands for unnamed axes, which
broadcast. A sum over k first makes k times the output's elements: `ik,kj->ij` holds m k n numbers at once.
"""

import re
from collections import Counter
from collections.abc import Sequence

from torch import Tensor

Labels = list[str]


def einsum(equation: str, *operands: Tensor) -> Tensor:
    """The result of `equation` ("ik,kj->ij", "ii", "...ij->...ji") on its operands, as torch.einsum.

    Without "->" the output has the axes of `...`, then the labels that occur once, in alphabetical order.
    An axis of size 1 is stretched, but not along a diagonal. A ValueError names the label at fault.
    """
    inputs, output = parse(equation, [x.dim() for x in operands])
    check_sizes(inputs, operands)
    order = list(dict.fromkeys([*output, *(label for labels in inputs for label in labels)]))
    product = operands[0].new_ones(())
    for n, (labels, x) in enumerate(zip(inputs, operands, strict=True), 1):
        product = product * lined_up(x, labels, order)
        needed = set(output).union(*inputs[n:])
        for axis, label in enumerate(order):
            if label in labels and label not in needed:
                product = product.sum(axis, keepdim=True)
    return product.reshape(product.shape[: len(output)])  # all other axes are summed, and have size 1


def lined_up(x: Tensor, labels: Labels, order: Labels) -> Tensor:
    """`x` as a view with one axis per label of `order`, of size 1 where `x` lacks it.

    A diagonal takes one step along both of its axes at once: its stride is the sum of theirs.
    """
    sizes = dict(zip(labels, x.shape, strict=True))
    strides: Counter[str] = Counter()
    for label, stride in zip(labels, x.stride(), strict=True):
        strides[label] += stride
    return x.as_strided([sizes.get(label, 1) for label in order], [strides[label] for label in order])


def parse(equation: str, ranks: Sequence[int]) -> tuple[list[Labels], Labels]:
    """The labels of every operand's axes, given how many axes each has, and those of the output."""
    left, arrow, right = "".join(equation.split()).partition("->")
    terms = [split(term) for term in left.split(",")]
    if len(terms) != len(ranks):
        raise ValueError(
            f"terms of '{equation}' and operands differ in number: {len(terms)} and {len(ranks)}"
        )
    inputs = [named(term, rank, n) for n, (term, rank) in enumerate(zip(terms, ranks, strict=True), 1)]
    count = Counter(label for labels in inputs for label in labels)
    once = sorted(label for label in count if count[label] == 1 and label.isalpha())
    rest = sum(not label.isalpha() for label in count)
    output = written_out(split(right) if arrow else ["...", *once], rest)
    for label in output:
        if label not in count:
            raise ValueError(f"output label '{label}' is in no operand")
        if output.count(label) > 1:
            raise ValueError(f"output label '{label}' is repeated")
    return inputs, output


def split(term: str) -> list[str]:
    """The letters of a term, and its ellipsis, one by one."""
    symbols = re.findall(r"\.\.\.|.", term)
    for symbol in symbols:
        if symbol != "..." and not re.fullmatch("[a-zA-Z]", symbol):
            raise ValueError(f"'{symbol}' in '{term}' is neither a letter nor part of an ellipsis '...'")
    if symbols.count("...") > 1:
        raise ValueError(f"'{term}' has more than one ellipsis '...'")
    return symbols


def named(term: list[str], rank: int, operand: int) -> Labels:
    """One label for each of an operand's axes."""
    letters = len(term) - term.count("...")
    if rank < letters or (rank > letters and "..." not in term):
        raise ValueError(f"'{''.join(term)}' and operand {operand} differ in axes: {letters} and {rank}")
    return written_out(term, rank - letters)


def written_out(term: list[str], rest: int) -> Labels:
    """`...` as labels for `rest` axes, counted from the last: "...[-2]", "...[-1]"."""
    axes = [f"...[{axis}]" for axis in range(-rest, 0)]
    return [label for symbol in term for label in (axes if symbol == "..." else [symbol])]


def check_sizes(inputs: Sequence[Labels], operands: Sequence[Tensor]) -> None:
    """Check that a label has one size, or 1, in all operands, and one size within an operand."""
    seen: dict[str, tuple[int, int]] = {}
    for n, (labels, x) in enumerate(zip(inputs, operands, strict=True), 1):
        own: dict[str, int] = {}
        for label, size in zip(labels, x.shape, strict=True):
            if own.setdefault(label, size) != size:
                raise ValueError(f"label '{label}' is both {own[label]} and {size} in operand {n}")
            before, where = seen.get(label, (1, n))
            if before == 1:
                seen[label] = size, n
            elif size not in (1, before):
                raise ValueError(f"label '{label}' is {before} in operand {where} and {size} in operand {n}")
