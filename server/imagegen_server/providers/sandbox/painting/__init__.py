"""How a landscape comes out of words and a seed. Imports numpy and Pillow: imported on first use, in a thread."""
