"""What to build: the settings of every phase and the profiles that fill them in."""
