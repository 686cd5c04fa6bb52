"""Pictures of one colour: a provider for imagegen in one file."""
