"""``cogumi up`` and ``down``: what they start on this machine, and what they make on a server."""
