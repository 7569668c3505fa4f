"""The composition roots, one module a process: settings, clocks, signals."""
