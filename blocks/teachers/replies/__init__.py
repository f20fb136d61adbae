"""What providers send back: the wire formats, read strictly."""
