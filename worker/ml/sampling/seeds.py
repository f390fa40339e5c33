"""Seeds that depend only on what is drawn, never on when, where or in which batch."""

import hashlib

import numpy as np
import numpy.typing as npt

SEED_BITS = 63
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def derive_seed(*parts: str | int) -> int:
    """Returns a seed in [0, 2**63) from any number of texts and whole numbers.

    Each part is written with its type and length, so that ("ab", "c") and ("a", "bc"), or 1 and
    "1", give different seeds. The value is the same on every machine and in every version: it is
    stored with samples. Fits a signed 64-bit database column.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        kind, text = ("i", str(int(part))) if isinstance(part, int) else ("s", part)
        data = text.encode()
        digest.update(f"{kind}{len(data)}:".encode())
        digest.update(data)
    return int.from_bytes(digest.digest(), "big") >> (64 - SEED_BITS)


def uniforms(seeds: npt.ArrayLike, count: int) -> npt.NDArray[np.float64]:
    """Returns `count` numbers in [0, 1) for each seed; shape (number of seeds, count).

    SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014):
    number j of a seed is a pure function of (seed, j). That is what makes a drawn text independent
    of its batch partners; and unlike torch's or numpy's generators it costs nothing to start
    another stream per row, and no library upgrade can change it.
    """
    state = np.asarray(seeds, dtype=np.uint64).reshape(-1, 1)
    steps = np.array([(_GOLDEN * (j + 1)) & _MASK for j in range(count)], dtype=np.uint64)
    z = state + steps  # wraps modulo 2**64, as the generator asks for
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
