"""``make bench``: what the product costs, on the embedded control plane, beside what it may cost."""
