"""From a wish to its images: planning, admission, running, and the log that every reader reads."""
