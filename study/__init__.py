"""This repository's own report."""
