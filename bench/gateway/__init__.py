"""What the gateway costs, beside the API server asked directly and beside an Envoy that only routes."""
