"""Ends with status 0 where the device that it is given is there, and else says what to do.

A program of its own, so that one without torch can ask before it starts a worker.
"""

import sys

from app.kit.processes.programs import end_unless_installed, run_program

if __name__ == "__main__":
    end_unless_installed("Asking for a device")

from worker.ml.errors import explain
from worker.ml.model.devices import choose_device


def main() -> None:
    [device] = sys.argv[1:]
    choose_device(device)


if __name__ == "__main__":
    run_program(main, explain=explain)
