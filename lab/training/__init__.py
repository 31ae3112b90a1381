"""Training a run: its options, its name, its lock, its files, several at a time."""
