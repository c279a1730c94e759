"""``ml-release versions`` and ``ml-release roll-back``: what was registered, what serves, and the way back."""
