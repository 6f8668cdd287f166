"""Where the data folder is; a module of its own, since every command needs it and torch loads slowly."""

import os
from pathlib import Path

import platformdirs


def default_data_dir() -> Path:
    """`MLFOUND_DATA_DIR`, else the user's cache folder."""
    chosen = os.environ.get("MLFOUND_DATA_DIR")
    return Path(os.path.expanduser(chosen)) if chosen else platformdirs.user_cache_path("mlfound")
