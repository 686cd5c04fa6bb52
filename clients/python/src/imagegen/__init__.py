"""Python client of imagegen."""
