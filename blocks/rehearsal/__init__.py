"""The offline world the nano profile learns: question families, solvers and rehearsal teachers."""
