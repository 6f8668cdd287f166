"""The answers we are checked against, from torch's own parts. Nothing of ours is imported here."""
