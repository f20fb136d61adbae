"""Plain files of records, of any origin, and the commands on them."""
