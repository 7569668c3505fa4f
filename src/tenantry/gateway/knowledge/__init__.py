"""What the gateway knows of a cluster by its own account, and what principals see by it."""
