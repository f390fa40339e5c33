"""Sampling rationales: ours against `generate`, in float32, 32 new tokens forced per sample.

    python -m benchmarks.sampling --threads 2

Every item is asked for 5 samples at each of 5 temperatures. Models: `demo`, and `llava`, random
weights of real proportions (benchmarks/support/llava.py), on a GPU also `7b`. Ways:

ours   worker.ml.sampling.generate.sample, all draws of all items in one call.
a      one `generate` call per sample, as ILLUME's published code does.
b      one `generate` call per item and temperature, with num_return_sequences.
c      one `generate` call per temperature over a batch of items, with num_return_sequences, at the
       batch size that suits it best (the sizes tried are cells of their own).

All are given the same prompts, top-k and number of new tokens, and read each image file once. Each
cell runs in a process of its own; the first call, which warms up, is not counted. Others on the
machine disturb the ratio by processor time less than that by the clock. `GB/s`: what decoding reads
(weights, keys and values, each once per step) over the whole time, with prompts; --bandwidth (GB/s)
says which share of the memory's own that is. On one H200:

    python -m benchmarks.sampling --models 7b --device cuda --dtype bfloat16 --bandwidth 4800
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.kit.processes.programs import require_worker_packages
from benchmarks.support.cells import (
    DTYPES,
    MODELS_FOLDER_HELP,
    Cells,
    Config,
    Result,
    folder_option,
    print_result,
    print_table,
    run_benchmark,
)

TEMPERATURES = (0.01, 0.1, 0.3, 0.6, 0.9)
N_SAMPLES = 5
N_NEW_TOKENS = 32
TOP_K_SHARE = 0.1
# Items per way: enough for a steady figure, few enough that the slow ways end.
N_ITEMS = {
    "demo": {"ours": 100, "a": 4, "b": 16, "c": 100},
    "llava": {"ours": 8, "a": 1, "b": 2, "c": 4},
    "small": {"ours": 8, "a": 1, "b": 2, "c": 4},
    "7b": {"ours": 64, "a": 1, "b": 4, "c": 32},
}
BATCHES = {"demo": (10, 25, 50, 100), "llava": (1, 2, 4), "small": (1, 2, 4), "7b": (4, 8, 16, 32)}
QUICK_ITEMS = {
    "demo": {"ours": 25, "a": 1, "b": 4, "c": 25},
    "llava": {"ours": 2, "a": 1, "b": 1, "c": 2},
    "small": {"ours": 2, "a": 1, "b": 1, "c": 2},
    "7b": {"ours": 8, "a": 1, "b": 1, "c": 8},
}
QUICK_BATCHES = {"demo": (25,), "llava": (2,), "small": (2,), "7b": (8,)}
AIMS = {"a": 10, "b": 6, "c": 2}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", choices=list(N_ITEMS), help="default: demo and llava"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--bandwidth", type=float, help="of the device's memory, in GB/s")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sampling.jsonl"))
    parser.add_argument("--quick", action="store_true", help="small models, few items")
    parser.add_argument("--items", type=int, help="at most so many items for each way")
    parser.add_argument("--models-folder", type=Path, help=MODELS_FOLDER_HELP)
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    arguments = parser.parse_args()
    require_worker_packages("This benchmark")
    if arguments.cell:
        print_result(measure(json.loads(arguments.cell), arguments.models_folder))
        return
    cells = Cells("benchmarks.sampling", arguments.out, folder_option(arguments.models_folder))
    rows: list[list[str]] = []
    setting = {"threads": arguments.threads, "device": arguments.device, "dtype": arguments.dtype}
    for model in arguments.models or ["demo", "small" if arguments.quick else "llava"]:
        results = {
            way: best(cells, [config | setting for config in configs])
            for way, configs in configurations(
                model, is_quick=arguments.quick, most_items=arguments.items
            ).items()
        }
        rows += [_line(model, way, results, arguments.bandwidth) for way in results]
    columns = (
        *("model", "way", "items", "batch", "samples/s", "tokens/s", "GB/s", "peak MB"),
        *("ours is", "by CPU time"),
    )
    title = f"sampling, {arguments.device}, {arguments.dtype}, {arguments.threads} threads"
    print_table(title, columns, rows)


def configurations(
    model: str, *, is_quick: bool, most_items: int | None = None
) -> dict[str, list[Config]]:
    """Per way, the cells of which the best counts."""
    n_items = (QUICK_ITEMS if is_quick else N_ITEMS)[model]
    batches = (QUICK_BATCHES if is_quick else BATCHES)[model]
    found: dict[str, list[Config]] = {}
    for way, n_usual in n_items.items():
        n = min(n_usual, most_items or n_usual)
        sizes: Sequence[int | None] = batches if way == "c" else (None,)
        found[way] = [{"model": model, "way": way, "n_items": n, "batch": size} for size in sizes]
    return found


def best(cells: Cells, configs: Sequence[Config]) -> Result:
    measured = [config | cells.measure(config) for config in configs]
    return max(measured, key=lambda entry: entry["samples_per_s"])


def _line(model: str, way: str, results: dict[str, Result], bandwidth: float | None) -> list[str]:
    entry = results[way]
    ratio, cpu_ratio = (
        results["ours"][name] / entry[name] for name in ("samples_per_s", "samples_per_cpu_s")
    )
    aim = f" (aim {AIMS[way]})" if way in AIMS else ""
    return [
        model,
        way,
        str(entry["n_items"]),
        str(entry["batch"] or ""),
        f"{entry['samples_per_s']:.2f}",
        f"{entry['samples_per_s'] * N_NEW_TOKENS:.0f}",
        f"{entry['read_gb_per_s']:.1f}"
        + (f" ({entry['read_gb_per_s'] / bandwidth:.0%})" if bandwidth else ""),
        f"{entry['peak_mb']:.0f}",
        f"{ratio:.1f} x as fast{aim}" if way != "ours" else "",
        f"{cpu_ratio:.1f} x" if way != "ours" else "",
    ]


# ------------------------------------------------------------------------------------- one cell


def measure(config: Config, models_folder: Path | None = None) -> Result:
    """Run one way on one model; samples per second of the clock and of the processor, memory."""
    import torch

    from benchmarks.support.hardware import Traffic, peak_mb, wait_for
    from worker.ml.model.devices import choose_device

    choose_device(config["device"])  # refuses one that is not there, before weights are made
    torch.set_num_threads(config["threads"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vlm, prompts = _load(config, folder, models_folder)
        run: Callable[[Any, Any], int] = {
            "ours": _ours,
            "a": _one_call_per_sample,
            "b": _one_call_per_temperature,
            "c": lambda vlm, prompts: _batches(vlm, prompts, config["batch"]),
        }[config["way"]]
        run(vlm, prompts[-1:])  # the last item warms up
        traffic = Traffic(vlm)
        wait_for(vlm.device)
        started, cpu_started = time.perf_counter(), time.process_time()
        n_samples = run(vlm, prompts[:-1])
        wait_for(vlm.device)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return {
        "seconds": seconds,
        "samples_per_s": n_samples / seconds,
        "samples_per_cpu_s": n_samples / cpu_seconds,
        "read_gb_per_s": traffic.n_bytes / seconds / 1e9,
        "peak_mb": peak_mb(vlm.device),
        "parameters": vlm.model.num_parameters(),
    }


def _load(config: Config, folder: Path, models_folder: Path | None) -> tuple[Any, list[Any]]:
    """The model, and the prompts: one more than the items that are counted."""
    from worker.ml.model.loading import load_vlm
    from worker.ml.types import Prompt

    model, device, dtype = config["model"], config["device"], config["dtype"]
    n_items = config["n_items"] + 1
    if model == "demo":
        from worker.host.models import DEMO_CHECKPOINT

        images, texts = demo_items(folder, n_items)
        source = DEMO_CHECKPOINT
    else:
        from benchmarks.support.llava import save_images, saved_llava, words

        images = save_images(folder, n_items)
        texts = [(words(6 + n % 12, n), words(1 + n % 2, n)) for n in range(n_items)]
        source = saved_llava(folder, models_folder, model, dtype, device)
    vlm = load_vlm(str(source), device=device, dtype=dtype)
    prompts = [
        Prompt(image=image, question=question, answer=answer, opener=", seeing that")
        for image, (question, answer) in zip(images, texts, strict=True)
    ]
    return vlm, prompts


def demo_items(
    folder: Path, n_items: int, *, is_held_out: bool = False
) -> tuple[list[Path], list[tuple[str, str]]]:
    """Pictures of scenes, with a question and its answer each; the same every time."""
    import random

    from app.scenes.render import render_png
    from worker.demo.rows import draw_question

    rng = random.Random(0)
    images, texts = [], []
    for number in range(n_items):
        scene, question = draw_question(rng, held_out=is_held_out)
        images.append(folder / f"scene-{number}.png")
        images[-1].write_bytes(render_png(scene))
        texts.append((question.text, question.answer))
    return images, texts


def _ours(vlm: Any, prompts: Sequence[Any]) -> int:
    from worker.ml.sampling.generate import sample
    from worker.ml.types import Draw, SampleConfig

    vlm.memo["ends"] = ()  # no token ends a sample
    draws = [
        Draw(prompt=prompt, temperature=temperature, seed=number)
        for prompt in prompts
        for temperature in TEMPERATURES
        for number in range(N_SAMPLES)
    ]
    config = SampleConfig(max_new_tokens=N_NEW_TOKENS, top_k_share=TOP_K_SHARE)
    sampled = sample(vlm, draws, config)
    assert all(entry.n_tokens == N_NEW_TOKENS for entry in sampled)
    return len(sampled)


def _one_call_per_sample(vlm: Any, prompts: Sequence[Any]) -> int:
    n_samples = 0
    for prompt in prompts:
        batch = _inputs(vlm, [prompt])
        for temperature in TEMPERATURES:
            for _ in range(N_SAMPLES):
                n_samples += _generate(vlm, batch, temperature, n_sequences=1)
    return n_samples


def _one_call_per_temperature(vlm: Any, prompts: Sequence[Any]) -> int:
    n_samples = 0
    for prompt in prompts:
        batch = _inputs(vlm, [prompt])
        for temperature in TEMPERATURES:
            n_samples += _generate(vlm, batch, temperature, n_sequences=N_SAMPLES)
    return n_samples


def _batches(vlm: Any, prompts: Sequence[Any], size: int) -> int:
    n_samples = 0
    for start in range(0, len(prompts), size):
        batch = _inputs(vlm, prompts[start : start + size])
        for temperature in TEMPERATURES:
            n_samples += _generate(vlm, batch, temperature, n_sequences=N_SAMPLES)
    return n_samples


def _inputs(vlm: Any, prompts: Sequence[Any]) -> Any:
    from worker.ml.inputs.encode import read_image
    from worker.ml.inputs.prompts import DEFAULT_STYLE, prompt_text

    texts = [prompt_text(vlm, prompt, DEFAULT_STYLE) for prompt in prompts]
    return vlm.processor(
        images=[read_image(prompt.image) for prompt in prompts],
        text=[text.context + text.continuation for text in texts],
        padding=True,
        return_tensors="pt",
    ).to(vlm.device, vlm.dtype)


def _generate(vlm: Any, batch: Any, temperature: float, *, n_sequences: int) -> int:
    import torch
    from transformers import GenerationConfig

    from worker.ml.sampling.choose import top_k_of

    vocabulary = vlm.model.config.get_text_config().vocab_size
    config = GenerationConfig(
        do_sample=True, temperature=temperature, top_k=top_k_of(vocabulary, TOP_K_SHARE),
        num_return_sequences=n_sequences, max_new_tokens=N_NEW_TOKENS, eos_token_id=None,
        pad_token_id=vlm.tokenizer.pad_token_id, bos_token_id=vlm.tokenizer.bos_token_id,
    )  # fmt: skip
    vlm.model.generation_config = config
    with torch.no_grad():
        made = vlm.model.generate(**batch, generation_config=config)
    assert made.shape[1] - batch["input_ids"].shape[1] == N_NEW_TOKENS
    return int(made.shape[0])


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.sampling")
