"""``ml-release monitor``: the comparison of the monitor, on captured files or once on an account."""
