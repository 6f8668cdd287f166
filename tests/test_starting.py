"""What a command loads before it works, and that it says so first."""

import os
import subprocess
import sys

import pytest

TRAIN = """
import sys
from mlfound.__main__ import main

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("torch is imported", file=sys.stderr, flush=True)

sys.meta_path.insert(0, Watch())
sys.argv = ["mlfound", "train", "data.dataset=mnist-sample", "epochs=1", "--no-plots"]
try:
    main()
except SystemExit as ended:
    loaded = {name for name in sys.modules if name in ("matplotlib", "scipy", "sympy", "torch._dynamo", "jinja2")}
    sys.exit(ended.code or ", ".join(loaded) or 0)
"""


def test_a_training_says_that_torch_is_loading_and_loads_little_else(tmp_path):
    """Each of these takes from 0.2 to 2 seconds, as long as the training itself."""
    done = subprocess.run([sys.executable, "-c", TRAIN], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[:2] == ["mlfound train: loading PyTorch", "torch is imported"]


@pytest.mark.parametrize("own", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_threads_do_not_keep_a_core_from_others_unless_the_user_wants_it(own):
    """GOMP_SPINCOUNT would overrule OMP_WAIT_POLICY."""
    code = (
        "import os, sys; from mlfound.__main__ import main, os; sys.argv[1:] = ['--version']\n"
        "os._exit = lambda code: print(os.environ.get('GOMP_SPINCOUNT'))\n"
        "main()"
    )
    others = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    done = subprocess.run([sys.executable, "-c", code], env=others | own, capture_output=True, text=True)
    wanted = None if "OMP_WAIT_POLICY" in own else own.get("GOMP_SPINCOUNT", "1000")
    assert done.stdout.splitlines()[-1] == str(wanted)


def test_quiet_says_nothing(tmp_path):
    code = "import sys; from mlfound.cli import main; main()"
    command = [sys.executable, "-c", code, "init-stats", "--quiet", "data.dataset=nonsense"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "loading" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
