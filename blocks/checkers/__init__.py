"""How an answer is judged: one file per kind of check; judge.py judges one answer or many at once."""
