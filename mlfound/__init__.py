"""mlfound: the experiments of "deep learning from the foundations", by hand and measured."""

__version__ = "0.1.0"
