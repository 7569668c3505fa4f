"""Decisions about Namespace objects: whose they are, what they carry, what may change."""
