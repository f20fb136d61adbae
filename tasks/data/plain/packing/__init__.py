"""Packed files: .zst and .gz."""
