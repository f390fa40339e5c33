import numpy as np

from worker.ml.sampling.seeds import derive_seed, uniforms


def test_a_seed_is_the_same_everywhere_and_fits_the_database() -> None:
    assert derive_seed("run", 1, "item", 7) == 5028487706922448042
    assert all(0 <= derive_seed("x", n) < 2**63 for n in range(1000))


def test_parts_are_not_glued_together() -> None:
    seeds = {
        derive_seed("ab", "c"),
        derive_seed("a", "bc"),
        derive_seed("abc"),
        derive_seed(1, 2),
        derive_seed("1", "2"),
        derive_seed(12),
        derive_seed("1", 2),
    }
    assert len(seeds) == 7


def test_a_number_depends_on_its_seed_and_place_alone() -> None:
    alone = uniforms([11], 8)
    among_others = uniforms([5, 11, 2**63 - 1], 8)
    longer = uniforms([11], 20)
    assert np.array_equal(alone[0], among_others[1])
    assert np.array_equal(alone[0], longer[0, :8])


def test_numbers_of_neighbouring_seeds_are_spread_evenly() -> None:
    numbers = uniforms(range(1000), 50)
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0
    counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
    assert abs(counts - 2500).max() < 250  # five standard deviations
    assert abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 0.12
