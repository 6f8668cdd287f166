"""What a user may set: `load` reads it from file and flags, `dump` writes it. Loads pydantic and yaml."""

from mlfound.config.loading import Loaded, Override, dump, load, parse_flag, parse_set

__all__ = ["Loaded", "Override", "dump", "load", "parse_flag", "parse_set"]
