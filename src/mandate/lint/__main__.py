"""`python -m mandate.lint`: fails where a rule is broken."""

import sys

from mandate.lint.checking import check
from mandate.settings import ROOT

if __name__ == "__main__":
    found = check(ROOT / "src")
    sys.stdout.writelines(f"{finding}\n" for finding in found)
    sys.exit(1 if found else 0)
