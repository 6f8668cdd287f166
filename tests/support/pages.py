"""Notebooks made by hand, as the tests need them: a cell is a line of JSON, a notebook a list of cells."""

import json


def code(source, **members):
    return {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": source,
        **members,
    }


def text(source):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def notebook(*cells, **members):
    """A notebook of nbformat 4; a string stands for a code cell."""
    cells = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **members}


def old_notebook(*sources):
    """The same in nbformat 3: worksheets, and `input` instead of `source`."""
    cells = [
        {"cell_type": "code", "input": source, "outputs": [], "language": "python"} for source in sources
    ]
    heading = {"cell_type": "heading", "level": 1, "source": "A title"}
    return {"worksheets": [{"cells": [heading, *cells]}], "metadata": {}, "nbformat": 3, "nbformat_minor": 0}


def write(path, *cells, **members):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook(*cells, **members)), encoding="utf-8")
    return path
