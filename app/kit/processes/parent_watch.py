"""Run a command and end it when our own parent goes away: for systems without PR_SET_PDEATHSIG.

Usage: python -I parent_watch.py SIGNAL COMMAND…
A stand-alone script: it is started with `-I`, outside the package, and imports nothing of ours.
"""

import os
import signal
import subprocess
import sys
import time

POLL_SECONDS = 0.1
GRACE_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    parent = os.getppid()
    death_signal, command = int(arguments[0]), arguments[1:]
    child = subprocess.Popen(command)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    while child.poll() is None:
        if os.getppid() != parent:
            child.send_signal(death_signal)
            try:
                child.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
            return 1
        time.sleep(POLL_SECONDS)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
