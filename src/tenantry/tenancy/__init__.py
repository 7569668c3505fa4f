"""The core of tenancy: pure functions that decide what a tenant may do and what it must have."""
