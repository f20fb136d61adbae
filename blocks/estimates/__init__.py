"""What work will take, before it is done: calls in dollars, seconds on a machine."""
