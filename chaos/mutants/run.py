"""`python -m chaos.mutants.run MISTAKE producer|consumer ...`: that service, with the mistake."""

import runpy
import sys

from chaos.mutants.mistakes import MISTAKES

if __name__ == "__main__":
    _, name, module, *rest = sys.argv
    MISTAKES[name].make()
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
