"""The only door to the Kubernetes API: credentials, client, caches, work queue, lease, events."""
