"""The gateway's configuration: its one file, what is wrong with one, and what capsule-proxy's flags mean in it."""
