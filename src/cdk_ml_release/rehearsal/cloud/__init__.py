"""The rehearsed AWS: a gateway, what it checks, and the services behind it."""
