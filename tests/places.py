"""Where things are that tests look for: this checkout, and public data that is not part of it."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORPORA = Path(os.environ.get("COGUMI_CORPORA", ROOT.parent / "shared" / "corpora"))
CASES = Path(os.environ.get("COGUMI_CASES", ROOT.parent / "shared" / "cases"))
