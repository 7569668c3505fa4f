"""The embedded control plane for the demo, for development and for tests."""
