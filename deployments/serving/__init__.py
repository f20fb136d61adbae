"""What a release answers with."""
