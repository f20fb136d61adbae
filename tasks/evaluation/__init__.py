"""What every phase measures with: held-out questions, answers, statistics, ledger, gates."""
