"""Multi-tenancy for shared Kubernetes clusters, in one package."""
