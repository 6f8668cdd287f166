"""Our einsum against torch.einsum on generated equations, and errors that name the label."""

import math
import random
import re

import pytest
import torch

from mlfound.foundations.checks import test_eq, test_near
from mlfound.foundations.einsum import einsum

LABELS = "ijkAB"


def generated(draw: random.Random):
    """An equation, the shapes of its operands, and how many terms an element of the output sums at most."""
    sizes = {label: draw.choice([0, 1, 2, 3, 3, 4, 5]) for label in LABELS}
    rest = draw.choices([1, 2, 3], k=draw.randint(0, 2))  # the axes of `...`
    terms, shapes = [], []
    for _ in range(draw.randint(1, 4)):
        own = {label: draw.choice([size, size, size, 1]) for label, size in sizes.items()}
        term = [(label, [own[label]]) for label in draw.choices(LABELS, k=draw.randint(0, 3))]
        if rest and draw.random() < 0.5:
            axes = [draw.choice([size, size, 1]) for size in rest[draw.randint(0, len(rest)) :]]
            term.insert(draw.randint(0, len(term)), ("...", axes))
        terms.append("".join(symbol for symbol, _ in term))
        shapes.append([size for _, axes in term for size in axes])
    equation = draw.choice([",", " , "]).join(terms)
    if draw.random() < 0.7:
        present = sorted(set(equation) & set(LABELS))
        output = draw.sample(present, draw.randint(0, len(present)))
        if "..." in equation and draw.random() < 0.7:
            output.insert(draw.randint(0, len(output)), "...")
        equation += draw.choice(["->", " -> "]) + "".join(output)
    return equation, shapes, math.prod(max(size, 1) for size in [*sizes.values(), *rest])


def test_a_thousand_generated_equations_are_torchs():
    draw, draws, equations = random.Random(0), torch.Generator().manual_seed(0), set()
    for _ in range(1000):
        equation, shapes, terms = generated(draw)
        operands = [torch.randn(shape, dtype=torch.float64, generator=draws) for shape in shapes]
        got, want = einsum(equation, *operands), torch.einsum(equation, *operands)
        # both round: once a term of the sum, and once a factor of a term
        bound = 2 * (terms + len(operands)) * 2**-53 * torch.einsum(equation, *(x.abs() for x in operands))
        assert got.shape == want.shape, (equation, shapes)
        assert ((got - want).abs() <= bound).all(), (equation, shapes)
        equations.add(equation)
    assert len(equations) > 800


A, B = torch.arange(6.0).reshape(2, 3), torch.arange(12.0).reshape(3, 4)
SQUARE, CUBE = torch.arange(9.0).reshape(3, 3), torch.arange(27.0).reshape(3, 3, 3)
X, ROW = torch.arange(5.0), torch.arange(3.0)


@pytest.mark.parametrize(
    ("equation", "operands", "want"),
    [
        ("ik,kj->ij", (A, B), A @ B),
        (" i k , k j ", (A, B), A @ B),
        ("ik,kj->ji", (A, B), (A @ B).T),
        ("ba", (A,), A.T),  # without -> the output is in alphabetical order
        ("ii", (SQUARE,), torch.tensor(12.0)),
        ("ii->i", (SQUARE,), torch.tensor([0.0, 4.0, 8.0])),
        ("iii->i", (CUBE,), torch.tensor([0.0, 13.0, 26.0])),
        ("ij->", (A,), A.sum()),
        ("ij->j", (A,), A.sum(0)),
        ("i,j->ij", (X, ROW), X[:, None] * ROW),
        ("i,i", (X, X), torch.tensor(30.0)),
        ("ij,jk,k->i", (A, B, B[0]), A @ B @ B[0]),
        ("...j->j...", (A,), A.T),
        ("...i,...i", (CUBE, ROW), CUBE @ ROW),
        ("...i->i", (CUBE,), CUBE.sum((0, 1))),
        (",->", (torch.tensor(3.0), torch.tensor(4.0)), torch.tensor(12.0)),
        ("ik,kj->ij", (torch.ones(2, 0), torch.ones(0, 4)), torch.zeros(2, 4)),
    ],
)
def test_equations_by_heart(equation, operands, want):
    test_eq(einsum(equation, *operands), want)


def test_the_result_is_a_new_tensor():
    x = A.clone()
    einsum("ij->ji", x).zero_()
    test_eq(x, A)


def test_a_wrong_einsum_is_seen():
    with pytest.raises(AssertionError, match="most by"):
        test_near(einsum("ik,kj->ij", A, B), torch.einsum("ik,kj->ij", A, 1.01 * B))


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ij->ik", [(2, 3)], "output label 'k' is in no operand"),
        ("ij->ii", [(2, 3)], "output label 'i' is repeated"),
        ("...i->...i...", [(2, 3)], "'...i...' has more than one ellipsis '...'"),
        ("ij,jk", [(2, 3), (4, 5)], "label 'j' is 3 in operand 1 and 4 in operand 2"),
        ("j,j,j", [(1,), (3,), (4,)], "label 'j' is 3 in operand 2 and 4 in operand 3"),
        ("ii", [(2, 3)], "label 'i' is both 2 and 3 in operand 1"),
        ("i,ii", [(3,), (1, 3)], "label 'i' is both 1 and 3 in operand 2"),
        ("...i,...i", [(2, 4), (3, 4)], "label '...[-1]' is 2 in operand 1 and 3 in operand 2"),
        ("ij,jk", [(2, 3)], "terms of 'ij,jk' and operands differ in number: 2 and 1"),
        ("ij", [(2, 3), (3,)], "terms of 'ij' and operands differ in number: 1 and 2"),
        ("", [], "terms of '' and operands differ in number: 1 and 0"),
        ("ijk", [(2, 3)], "'ijk' and operand 1 differ in axes: 3 and 2"),
        ("i,j", [(2,), (3, 4)], "'j' and operand 2 differ in axes: 1 and 2"),
        ("ij...k", [(2, 3)], "'ij...k' and operand 1 differ in axes: 3 and 2"),
        ("i1", [(2, 3)], "'1' in 'i1' is neither a letter nor part of an ellipsis '...'"),
        ("i..", [(2,)], "'.' in 'i..' is neither a letter nor part of an ellipsis '...'"),
        ("é", [(2,)], "'é' in 'é' is neither a letter nor part of an ellipsis '...'"),
        ("i->i->i", [(2,)], "'-' in 'i->i' is neither a letter nor part of an ellipsis '...'"),
    ],
)
def test_errors_name_the_label(equation, shapes, message):
    operands = [torch.zeros(shape) for shape in shapes]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        einsum(equation, *operands)
    if operands:
        with pytest.raises(RuntimeError):
            torch.einsum(equation, *operands)
