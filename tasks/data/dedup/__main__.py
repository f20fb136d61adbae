"""``python -m tasks.data.dedup``: compile the kernels for this machine, so that the first deduplication starts at
once."""

from tasks.data.dedup.near import deduplicate

if __name__ == "__main__":
    many = "".join(map(chr, range(0x4E00, 0x5600)))  # as many shingles as make a table grow
    for linkage in ("star", "single"):
        for shingle in (3, 5):
            deduplicate(
                ["the same text", "the same texts", "the same texté", many, many + "."],
                shingle=shingle,
                linkage=linkage,
            )
