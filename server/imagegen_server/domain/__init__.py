"""Values that every room speaks of: plain frozen dataclasses that import nothing else of the server."""
