"""Builders and verified fakes that ship with the package."""
