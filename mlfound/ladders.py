"""The names on a ladder, for config and command line, which are not to wait for torch.

To import a ladder is to import torch, which takes seconds, so its names are read from the file where they stand.
"""

import ast
from pathlib import Path


def names(file: str, ladder: str) -> tuple[str, ...]:
    """The keys, in their order, of the dict literal that is called `ladder` at the top level of a file of mlfound.

    `names("foundations/matmul.py", "MATMULS")`. LookupError if there is none.
    """
    tree = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
    for node in tree.body:
        match node:
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=keys))
                | ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=keys))
            ) if name == ladder:
                return tuple(ast.literal_eval(key) for key in keys if key is not None)
    raise LookupError(f"{file} has no dict literal {ladder}")
