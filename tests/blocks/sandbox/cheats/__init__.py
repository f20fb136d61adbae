"""Programs that are not right and want to pass, by what they try. Each defines ``f``, which should give ``2 * x +
1``."""
