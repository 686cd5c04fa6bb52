"""HTTP for the adapters. Knows the domain's errors and no provider. Empty until the first provider that needs it."""
