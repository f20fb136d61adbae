"""The way of one call: asked, tried until it is answered or final, the next teacher after that."""
