"""A recorder that keeps everything in memory: for an experiment or a loop without a run folder."""

from mlfound.results import Checkpoint


class Memory:
    """The rows, the lines, and the checkpoints as copies."""

    def __init__(self):
        self.rows, self.lines, self.checkpoints = [], [], []
        self.rows_before = []  # of each checkpoint

    def begin(self, config, **facts):
        pass

    def message(self, text):
        self.lines.append(text)

    def metrics(self, rows, line):
        self.rows += [dict(row) for row in rows]
        self.lines.append(line)

    def progress(self, label, done, total, **figures):
        pass

    def checkpoint(self, checkpoint, keep, best=False):
        tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise FloatingPointError
        self.rows_before.append(len(self.rows))
        self.checkpoints.append((Checkpoint(tensors, dict(checkpoint.facts)), best))
