"""The student before it is trained: made here, from the hub, or from a folder."""
