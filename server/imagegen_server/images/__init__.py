"""What can be known of and done to image bytes. Pillow is imported on first use only."""
