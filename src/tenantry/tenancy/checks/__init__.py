"""Checks of the first generation of policies, and those that hold for objects of any kind."""
