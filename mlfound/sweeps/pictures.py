"""The first figure of a sweep by the one or two keys that vary."""

from collections.abc import Sequence
from typing import Any

from mlfound.results import Picture
from mlfound.sweeps.grid import Grid
from mlfound.sweeps.results import Setting, label, mean, plain


def pictures(grid: Grid, settings: Sequence[Setting], names: Sequence[str]) -> list[Picture]:
    """A line with its band for one key, a map for two."""
    keys = [key for key, values in grid.axes.items() if len(values) > 1]
    if not (settings and names and 1 <= len(keys) <= 2):
        return []
    name, what = names[0], label(names[0])
    data: dict[str, Any] = {"title": f"{what.capitalize()} by {' and '.join(keys)}", "figure": what}
    found = {tuple(plain(key, each) for key in keys): each for each in settings}
    values = [list(dict.fromkeys(place[n] for place in found)) for n in range(len(keys))]
    if len(keys) == 1:
        data |= {"key": keys[0], "values": values[0], "seeds": [each.values(name) for each in settings]}
        for part in ("value", "low", "high"):
            data["mean" if part == "value" else part] = [mean(name, part, each) for each in settings]
        return [Picture("settings", "setting_line", data)]
    rows, columns = values
    data |= {"keys": keys, "rows": rows, "columns": columns}
    for word, part in (("mean", "value"), ("half", "half")):
        table = [[found.get((row, column)) for column in columns] for row in rows]
        data[word] = [[each and mean(name, part, each) for each in line] for line in table]
    return [Picture("settings", "setting_map", data)]
