"""What a command is for the terminal that it runs in: what it shows, how it is interrupted and ends, what it writes."""
