"""Personal data and secrets, a file for each kind: a text in, whether it is there out."""
