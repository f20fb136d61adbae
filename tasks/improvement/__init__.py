"""The nightly improvement: what was served, which domains moved, and whether a candidate is surely better."""
