"""torchvision, without which most families do. It is looked at before transformers is imported,
which takes a package for usable wherever it is installed and then fails with every model."""

import sys
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

VERSION = "0.28.0"
"""The one that was built for the torch of this program; the extra `vision` asks for it, too."""


@cache
def hide_broken_torchvision() -> str | None:
    """Returns a sentence on a torchvision that is installed and cannot be imported, and hides it
    from every import of this process, as if it were absent; None where it works or is absent."""
    if not is_installed():
        return None
    try:
        import_module("torchvision")
    except Exception as error:  # built for another torch, it may fail in any way
        said = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    else:
        return None
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    # Python's own way to say that there is no such module.
    sys.modules["torchvision"] = None  # type: ignore[assignment]
    return (
        f"torchvision {_version('torchvision')} cannot be imported beside torch "
        f"{_version('torch')} ({said}), so ILLUME does without it. {_how_to_match()}, or "
        "remove it (pip uninstall torchvision)."
    )


def is_installed() -> bool:
    """Returns whether Python finds a torchvision that is not hidden; it need not work."""
    try:
        return find_spec("torchvision") is not None
    except ValueError:  # something stands in its place
        return False


def needs_torchvision(name: str) -> str:
    """Returns the sentence on a model that cannot be used without it."""
    trouble = hide_broken_torchvision()
    if trouble is not None:
        return f"{name} needs torchvision for its pictures. {trouble}"
    return (
        f"{name} needs torchvision for its pictures, which is not installed. Install: pip install "
        f"'illume[vision]'; beside a torch of another build than pip's usual one (this is "
        f"{_version('torch')}), {_how_to_match(begins=False)}."
    )


def _how_to_match(*, begins: bool = True) -> str:
    label = _version("torch").partition("+")[2]
    wanted = f"torchvision=={VERSION}" + (f"+{label}" if label else "")
    install = "Install" if begins else "install"
    return (
        f"{install} the build that matches, from where torch came from: "
        f"pip install --force-reinstall --no-deps '{wanted}'"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of an unknown version"
