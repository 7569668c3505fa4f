"""What an installation needs in the cluster: pure functions from settings to manifests."""
