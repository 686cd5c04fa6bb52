"""The adapters: one file or folder for each provider, behind one seam (base.py)."""
