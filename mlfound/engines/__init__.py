"""The training step of the lesson, faster: the same maths, other ways to have it done."""
