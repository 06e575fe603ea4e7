"""Run every benchmark: ``python -m benchmarks [--quick] [NAME ...] [--only PART ...]``."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
from datetime import date
from pathlib import Path

BENCHMARKS = ("attribution", "costs", "memory", "scores", "loading", "many_rows", "dashboard")


def machine() -> str:
    """Return the machine in one line: processor, cores, card, date."""
    import torch

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":", 1)[1].strip() if names else processor
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{processor}, {os.cpu_count()} cores, {card}, torch {torch.__version__}, {date.today()}"


def main() -> None:
    """Parse the command line and run what it names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer alternations")
    parser.add_argument(
        "--only", nargs="+", metavar="PART", help="parts of one benchmark: of costs, of memory"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(
            f"unknown benchmark {', '.join(sorted(unknown))}; known: {', '.join(BENCHMARKS)}"
        )
    names = arguments.names or list(BENCHMARKS)
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    parts: dict[str, object] = {}
    if arguments.only:
        known = getattr(modules[names[0]], "PARTS", ()) if len(names) == 1 else ()
        strange = set(arguments.only) - set(known)
        if strange:
            listed = ", ".join(known) or "none"
            parser.error(f"--only takes parts of the one benchmark named; known: {listed}")
        parts["only"] = arguments.only
    print(machine())
    for name in names:
        print(f"\n== {name}", flush=True)
        modules[name].main(quick=arguments.quick, **parts)


if __name__ == "__main__":
    main()
