"""This repository's own report. `python -m study` makes it."""
