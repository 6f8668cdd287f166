"""What a user without the repository gets: a wheel that runs on its own, defaults and sample included."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_a_wheel_trains_with_its_defaults_in_an_empty_folder(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert {name.split("/")[0].split("-")[0] for name in names} == {"mlfound"}
    assert any(name.endswith("sample/LICENSE.md") for name in names)
    sources = {path.name for path in (ROOT / "mlfound" / "native").glob("*.c")}
    assert sources == {
        Path(name).name for name in names if name.startswith("mlfound/native/") and name.endswith(".c")
    }

    work = tmp_path / "work"
    work.mkdir()
    command = [
        sys.executable,
        "-m",
        "mlfound",
        "train",
        "--set",
        "data.dataset=mnist-sample",
        "--set",
        "epochs=1",
    ]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (work / done.stdout.splitlines()[-1] / "model.safetensors").exists()
    assert (work / done.stdout.splitlines()[-1] / "report.html").exists(), "the templates are in the wheel"
    code = "import mlfound; print(mlfound.__file__)"
    where = subprocess.run(
        [sys.executable, "-c", code], cwd=work, env=environment, capture_output=True, text=True
    )
    assert Path(where.stdout.strip()).is_relative_to(tmp_path), "the checkout was imported, not the wheel"
