"""The rule engine: what a tenant's ordered blocks let its users do, one module for each family of rules."""
