"""The store that several server processes share, in Redis. Its contract is generation/store.py."""
