"""What compares a window of captured requests with a model's baseline: it runs in the monitor's own container."""
