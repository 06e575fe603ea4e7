"""``python -m xaieval.cli``."""

from xaieval.cli import main

main(prog_name="xaieval")
