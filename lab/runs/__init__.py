"""A run read back: logs, checkpoints, what a run is, and how series differ."""
