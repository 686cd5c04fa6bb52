"""HTTP for the adapters: requests, and answers that hold images. Knows the domain's errors and no provider."""
