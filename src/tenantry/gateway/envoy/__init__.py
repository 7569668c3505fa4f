"""The data plane: what Envoy is told, the script that runs in it, and who keeps it running."""
