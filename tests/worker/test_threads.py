"""How the threads of a worker wait for each other."""

import os
import subprocess
import sys

import pytest

NAME = "OMP_WAIT_POLICY"


@pytest.mark.slow
@pytest.mark.parametrize(("wished", "policy"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_they_sleep_unless_told_otherwise(wished: str | None, policy: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != NAME}
    if wished is not None:
        environment[NAME] = wished
    environment["OMP_DISPLAY_ENV"] = "TRUE"  # OpenMP says what it goes by as soon as it is loaded
    said = subprocess.run(
        [sys.executable, "-c", "import worker.ml.model.loading"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert f"{NAME} = '{policy}'" in said
