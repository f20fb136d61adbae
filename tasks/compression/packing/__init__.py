"""Packed for transport, and unpacked with every byte checked."""
