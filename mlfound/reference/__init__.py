"""Reference results by torch's own parts; our code is tested against them and is not imported here."""
