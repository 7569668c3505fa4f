"""The gateway: one door to the Kubernetes API that knows who comes through it."""
