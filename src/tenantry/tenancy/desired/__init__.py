"""What must exist for a tenant, and what is reported about it: pure functions, one module a kind of object."""
