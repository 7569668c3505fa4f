"""The controllers: gather a view from caches, decide in the core, apply, report."""
