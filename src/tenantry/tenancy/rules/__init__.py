"""The rule engine: one file a rule family, over one way of matching."""
