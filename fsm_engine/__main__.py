"""``python -m fsm_engine`` runs the command line ``fsm-engine``."""

from __future__ import annotations

from fsm_engine.cli import main

if __name__ == "__main__":
    main()
