"""Implementations of the store contract in generation/store.py."""
