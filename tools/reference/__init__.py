"""Writes the reference pages from the code: ``python tools/write_reference.py``."""
