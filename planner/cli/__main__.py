"""``python -m planner.cli``: the same as ``guestmap``."""

from planner.cli import main

main()
