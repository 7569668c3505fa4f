"""Cluster-scoped kinds, of which each caller sees a part: lists, objects and watches from a cache."""
