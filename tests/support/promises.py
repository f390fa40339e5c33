"""How every command that our texts show is run (tests/support/documented.py finds them).

A command that is shown and stands in none of these lists fails a test. To add one, put it, as the
text has it, into the first list that fits:

JOURNEY   commands of `illume` on one fresh home where `illume up --demo` runs, in this order;
LONG      what takes minutes: the smallest size of it runs in `make test-slow`;
REFUSED   what needs a GPU, Java, a network or a package: it goes through the real parser, and what
          it misses is taken away, so that it must end with one sentence that names it;
DRY       verbs of make: `make -n`, and everything that they start must be there;
TESTED    what a test of its own runs;
FOREIGN   programs of others, with what is checked of them.
"""

from dataclasses import dataclass

from app.kit.processes.programs import WORKER_PACKAGES


@dataclass(frozen=True)
class Step:
    """A command that is run: as it is shown, or with other values for the same words and options.

    `says` is part of what it prints. In `run`, {names} are filled in by the test.
    """

    shown: tuple[str, ...]
    run: str = ""
    says: str = ""
    status: int = 0

    @property
    def command(self) -> str:
        return self.run or self.shown[0]


JOURNEY = (
    Step(("illume --help",), says="Start everything: web, workers, beat"),
    Step(("illume check",), says="people use http://127.0.0.1:{port};"),
    Step(("illume migrate",), says="The database is up to date."),
    Step(
        ("illume user add ada --admin", "illume user add NAME --admin"),
        says="http://127.0.0.1:{port}/sign-in/link/",
    ),
    Step(
        ("illume user password ada", "illume user password NAME"),
        says="http://127.0.0.1:{port}/sign-in/link/",
    ),
    Step(("illume token create ada --label notebook", "illume token create NAME"), says="illume_"),
    Step(("illume token list",), says="notebook"),
    Step(
        ("illume project create NAME", 'illume project create "Street scenes"'),
        run='illume project create "Street scenes"',
        says="Created the project street-scenes",
    ),
    Step(("illume project list",), says="street-scenes"),
    Step(
        ("illume invite scenes --uses 20", "illume invite PROJECT"),
        run="illume invite street-scenes --uses 20",
        says="http://127.0.0.1:{port}/join/",
    ),
    Step(
        (
            "illume import scenes items.jsonl --images images/",
            "illume import PROJECT FILE… --images FOLDER",
        ),
        run="illume import street-scenes items.jsonl --images images/",
        says="3 added",
    ),
    Step(
        ("illume import PROJECT FILE…", "illume import PROJECT FILE… --format auto"),
        run="illume import street-scenes items.jsonl more.csv --format auto",
        says="1 added",
    ),
    Step(
        ("illume import PROJECT FILE… --update",),
        run="illume import street-scenes changed.jsonl --update",
        says="1 updated",
    ),
    Step(
        ("illume import PROJECT FILE… --format jsonl",),
        run="illume import street-scenes items.jsonl --format jsonl",
        says="unchanged",
    ),
    Step(
        ("illume import PROJECT FILE… --format csv",),
        run="illume import street-scenes more.csv --format csv",
        says="unchanged",
    ),
    Step(
        ("illume import PROJECT FILE… --format zip",),
        run="illume import street-scenes packed.zip --format zip",
        says="1 added",
    ),
    Step(
        ("illume import PROJECT FILE… --format vqa-x",),
        run="illume import street-scenes vqaX_train.json --format vqa-x",
        says="1 added",
    ),
    Step(
        ("illume import PROJECT FOLDER",),
        run="illume import street-scenes unasked",
        says="2 images without questions",
    ),
    Step(
        ("illume prior import scenes episodes.jsonl", "illume prior import PROJECT FILE"),
        run="illume prior import street-scenes episodes.jsonl",
        says="1 added",
    ),
    Step(
        ("illume prior remove scenes", "illume prior remove PROJECT"),
        run="illume prior remove street-scenes",
        says="Removed the prior of street-scenes: 1 episodes.",
    ),
    Step(
        ("illume round status scenes --json", "illume round status PROJECT"),
        run="illume round status demo --json",
        says='"status": "judging"',
    ),
    Step(
        ("illume round close scenes", "illume round close PROJECT"),
        run="illume round close demo",
        says="Round 1 closes: 1 rationales of 1 items are admitted.",
    ),
    Step(
        ("illume release PROJECT OUT --format jsonl", "illume release PROJECT OUT"),
        run="illume release demo first/ --format jsonl",
        says="Wrote first.",
    ),
    Step(
        (
            "illume release scenes out/ --format huggingface",
            "illume release PROJECT OUT --format huggingface",
        ),
        run="illume release demo out/ --format huggingface",
        says="Wrote out.",
    ),
    Step(
        ("illume release PROJECT OUT --format parquet",),
        run="illume release demo typed/ --format parquet --number 1",
        says="Wrote typed.",
    ),
    Step(
        (
            "illume release scenes pairs/ --format preference --by policy",
            "illume release PROJECT OUT --format preference",
        ),
        run="illume release demo pairs/ --format preference --by policy --number 1",
        says="Wrote pairs.",
    ),
    Step(
        ("illume release PROJECT OUT --format kto",),
        run="illume release demo labels.zip --format kto --number 1",
        says="Wrote labels.zip.",
    ),
    Step(
        ("illume release PROJECT OUT --format llava",),
        run="illume release demo talks/ --format llava --number 1",
        says="Wrote talks.",
    ),
    Step(
        ("illume token revoke 1", "illume token revoke NUMBER"),
        run="illume token revoke 1",
        says="Token 1 (notebook) is revoked.",
    ),
    Step(
        ("illume round start scenes", "illume round start PROJECT"),
        run="illume round start street-scenes",
        says="Started round 1 of street-scenes.",
    ),
    Step(  # nothing has changed; tests/worker/stages/test_base.py goes on with a base that has
        ("illume round retry PROJECT --changed-base",),
        run="illume round retry street-scenes --changed-base",
        says="No worker has found a changed base model",
        status=1,
    ),
    Step(
        ("illume round retry scenes", "illume round retry PROJECT"),
        run="illume round retry street-scenes",
        says="Queued a new",
    ),
    Step(
        ("illume round cancel scenes", "illume round cancel PROJECT"),
        run="illume round cancel street-scenes",
        says="Cancelled round 1.",
    ),
    Step(("illume backup illume-2026-11-21.tar", "illume backup FILE"), says="Wrote illume-2026"),
    Step(
        ("illume project archive scenes", "illume project archive NAME"),
        run="illume project archive street-scenes",
        says="Archived street-scenes.",
    ),
    Step(
        ("illume project unarchive scenes",),
        run="illume project unarchive street-scenes",
        says="street-scenes is open again.",
    ),
    Step(
        (
            'illume project delete scenes --name "Street scenes"',
            'illume project delete NAME --name "Full name"',
        ),
        run='illume project delete street-scenes --name "Street scenes"',
        says="Deleted street-scenes.",
    ),
)

# Processes that run until they are stopped; started together beside the ones of `illume up`.
SERVERS = (
    Step(
        ("illume web --host 0.0.0.0 --port 8000", "illume web"),
        run="illume web --host 127.0.0.1 --port {free_port}",
    ),
    Step(("illume worker --queues cpu",)),
    Step(("illume worker --queues gpu",)),
    Step(("illume beat",)),
    Step(("python -m celery -A worker.celery worker -Q gpu -c 1",)),
)

LONG = (
    Step(
        (
            "illume loop scenes --demo --critic exact --rounds 3 --json figures.json",
            "illume loop PROJECT --critic exact --rounds 3",
        ),
        run="illume loop scenes --demo --critic exact --rounds 1 --scenes 20 --json figures.json",
        says="Wrote figures.json.",
    ),
    Step(
        (
            "illume loop --strategy monologue",
            "illume loop scenes --set training.learning_rate=0.002 --set training.rank=16",
        ),
        run="illume loop looks --demo --strategy monologue --rounds 1 --scenes 20 "
        "--set training.learning_rate=0.002 --set training.rank=16 --set reinforcement.epochs=1 "
        "--set reinforcement.max_items=6 --set reinforcement.draws_per_item=2",
        says="Monologues: ",
    ),
    Step(
        ("illume loop scenes --demo --strategy direct --strategy monologue",),
        run="illume loop mixed --demo --strategy direct --strategy monologue --rounds 1 "
        "--scenes 20",
        says="2 monologue",
    ),
    Step(
        (
            "illume model merge scenes merged/illume-0123456789abcdef",
            "illume model merge scenes merged/",
            "illume model merge PROJECT OUT",
        ),
        run="illume model merge scenes merged/",
        says="Serve it under the name illume-",
    ),
    Step(
        (
            "python -m benchmarks.loop",
            "python -m benchmarks.loop --seeds 0 1 2 --rounds 3 "
            "--out benchmarks/results/loop.jsonl",
        ),
        run="python -m benchmarks.loop --seeds 0 --rounds 1 --controls none --scenes 20 "
        "--out loop.jsonl",
        says="illume loop, demo",
    ),
    Step(
        ("python -m benchmarks.strategies --only monologue",),
        run="python -m benchmarks.strategies --only monologue --quick --arms single "
        "--models strategies",
        says="share of held-out questions answered rightly",
    ),
    Step(
        (
            "illume loop --strategy self_questioning",
            "illume loop scenes --demo --strategy self_questioning --pictures 200 --rounds 3",
        ),
        run="illume loop asking --demo --strategy self_questioning --rounds 2 --scenes 20 "
        "--pictures 4 --no-stop-early",
        says="Questions: ",
    ),
    Step(
        ("python -m benchmarks.strategies",),
        run="python -m benchmarks.strategies --quick --arms base --models strategies",
        says="what a person reads and presses per admitted rationale",
    ),
    Step(
        ("illume loop --strategy perception",),
        run="illume loop looking --demo --strategy perception --rounds 1 --scenes 20",
        says="critic exact",
    ),
    Step(
        (
            "python -m benchmarks.strategies --only perception",
            "python -m benchmarks.strategies --only perception --quick",
            "python -m benchmarks.strategies --only perception --show",
        ),
        run="python -m benchmarks.strategies --only perception --quick --arms none --show",
        says="Nothing is measured yet.",
    ),
    Step(
        ("python -m benchmarks.strategies --only self_questioning",),
        run="python -m benchmarks.strategies --only self_questioning --quick --arms none --show",
        says="Nothing is measured yet.",
    ),
    Step(
        (
            "python -m benchmarks.crowd --quick",
            "python -m benchmarks.crowd --noise 0.1 --overlap 5",
            "python -m benchmarks.crowd",
        ),
        run="python -m benchmarks.crowd --quick --noise 0.1 --overlap 5 --out crowd.jsonl",
        says="majority",
    ),
    Step(
        ("python -m benchmarks.crowd --train",),
        run="python -m benchmarks.crowd --train --quick --out crowd-loops.jsonl",
        says="against majority",
    ),
    Step(
        ("python -m benchmarks.checks",),
        run="python -m benchmarks.checks --seeds 2",
        says="seeds that are right",
    ),
    Step(("python -m benchmarks.structure",), says="| app/services |"),
    Step(("python -m benchmarks.structure --longest 10",), says="Functions"),
    Step(("python -m benchmarks.structure --folders",), says="app/services/judging"),
    Step(
        ("python -m benchmarks.identical --draws 50000", "python -m benchmarks.identical"),
        run="python -m benchmarks.identical --draws 20",
        says="texts of the same draws",
    ),
    Step(
        ("python -m benchmarks.judging --quick", "python -m benchmarks.judging"),
        run="python -m benchmarks.judging --quick --people 2 --seconds 1 --web 1",
        says="cost of a judgement by the length of the queue",
    ),
    Step(
        (
            "python -m benchmarks.releases --quick",
            "python -m benchmarks.releases --verdicts 1000000",
            "python -m benchmarks.releases",
        ),
        run="python -m benchmarks.releases --quick --verdicts 1000",
        says="releases, ",
    ),
    Step(
        (
            "python -m benchmarks.closing --quick",
            "python -m benchmarks.closing --items 100000",
            "python -m benchmarks.closing",
        ),
        run="python -m benchmarks.closing --quick --items 1000",
        says="closing, 8 people, 2 web processes",
    ),
    Step(
        ("python -m benchmarks.large_round --quick", "python -m benchmarks.large_round"),
        run="python -m benchmarks.large_round --quick",
        says="what takes longer",
    ),
    Step(
        (
            "python -m benchmarks.large_round --screenshots DIR",
            "python -m benchmarks.large_round --screenshots build/looks",
        ),
        run="python -m benchmarks.large_round --quick --screenshots looks",
        says="148 pictures of pages in looks",
    ),
    Step(
        (
            "python -m worker.demo.recipe --out DIR --seed 0",
            "python -m worker.demo.recipe --out build/demo --seed 0",
        ),
        run="python -m worker.demo.recipe --out build/demo --seed 0 --minutes 0 --items 5 "
        "--tower-steps 2",
        says="5 held-out items",
    ),
    Step(
        (
            "python -m worker.demo.evaluate worker/demo/checkpoint",
            "python -m worker.demo.evaluate FOLDER --items 500",
        ),
        run="python -m worker.demo.evaluate {repository}/worker/demo/checkpoint --items 5",
        says="5 held-out items",
    ),
)


@dataclass(frozen=True)
class Refused(Step):
    """A command whose needs are taken away: packages hidden, or no GPU shown."""

    hidden: tuple[str, ...] = ()
    status: int = 1


REFUSED = (
    Refused(
        ("python -m benchmarks.training --threads 2", "python -m benchmarks.training"),
        hidden=("trl",),
        says="The comparison needs trl.",
    ),
    Refused(
        (
            "python -m benchmarks.metric_parity --data FILE",
            "python -m benchmarks.metric_parity --data vqaX_val.json",
            "python -m benchmarks.metric_parity --data vqaX_val.json --rows 1000",
            "python -m benchmarks.metric_parity --data vqaX_val.json --quick",
        ),
        run="python -m benchmarks.metric_parity --data vqaX_val.json --rows 1000 --quick",
        hidden=("pycocoevalcap",),
        says="The comparison needs pycocoevalcap.",
    ),
    Refused(
        ("python -m tests.architecture.lock PYTHON…",),
        run="python -m tests.architecture.lock python3.999",
        says="There is no program python3.999.",
    ),
)

REFUSED += tuple(
    Refused((command,), hidden=WORKER_PACKAGES, says="needs torch, transformers, peft")
    for command in (
        "python -m worker.check_model",
        "python -m worker.merge_model",
        "python -m worker.train_process JOB",
    )
)

# The same, but torch has to be loaded before it is known that there is no GPU.
REFUSED_SLOWLY = (
    Refused(
        (
            "python -m benchmarks.sampling --models 7b --device cuda --dtype bfloat16 "
            "--bandwidth 4800",
        ),
        says="sees no CUDA GPU",
    ),
    Refused(
        (
            "python -m benchmarks.training --model 7b --device cuda --dtype bfloat16 --items 64 "
            "--batches 1 4 20 --peak-tflops 989",
        ),
        run="python -m benchmarks.training --model 7b --device cuda --dtype bfloat16 --items 64 "
        "--batches 1 4 20 --peak-tflops 989 --methods ours",
        says="sees no CUDA GPU",
    ),
    Refused(
        ("DEVICE=cuda illume loop gpu --demo --critic exact --rounds 2 --dtype bfloat16",),
        run="DEVICE=cuda illume loop gpu --demo --critic exact --rounds 2 --dtype bfloat16 "
        "--scenes 20",
        says="sees no CUDA GPU",
    ),
)

DRY = (
    "make",
    "make check",
    "make clean",
    "make contracts",
    "make coverage",
    "make demo",
    "make format",
    "make gpu-wheels",
    "make help",
    "make hooks",
    "make lint",
    "make lock",
    "make messages",
    "make migrate",
    "make revision",
    "make rules",
    "make setup",
    "make test",
    "make test-slow",
    "make types",
    "make up",
    'make revision m="what it does"',
    'make test ARGS="-k judging"',
    'make gpu-wheels ARGS="--with numpy pillow"',
)

# The file of a test, and its name there.
TESTED = {
    "illume user erase ada --confirm ada": "tests/app/cli/test_removal.py::"
    "test_a_person_is_erased_only_with_the_name_given_twice",
    "illume user erase NAME --confirm NAME": "tests/app/cli/test_removal.py::"
    "test_a_person_is_erased_only_with_the_name_given_twice",
    "python -m benchmarks.sampling": "tests/benchmarks/test_on_gpu.py::"
    "test_parts_run_on_the_processor_and_write_their_figures",
    "python -m benchmarks.sampling --threads 2": "tests/benchmarks/test_on_gpu.py::"
    "test_parts_run_on_the_processor_and_write_their_figures",
    "illume up": "tests/app/supervisor/test_up.py::"
    "test_killed_supervisor_leaves_no_process_and_the_next_start_has_the_data",
    "illume up --demo": "tests/app/cli/test_promises.py::"
    "test_commands_do_what_they_are_shown_to_do",
    "illume up --demo --port 8000": "tests/app/cli/test_promises.py::"
    "test_commands_do_what_they_are_shown_to_do",
    "illume restore FILE": "tests/app/cli/test_promises.py::"
    "test_commands_do_what_they_are_shown_to_do",
    "illume restore illume-2026-11-21.tar": "tests/app/cli/test_promises.py::"
    "test_commands_do_what_they_are_shown_to_do",
    "illume model check demo": "tests/worker/test_check_command.py::"
    "test_the_demo_model_is_shown_to_people",
    "illume model check MODEL": "tests/worker/test_check_command.py::"
    "test_the_demo_model_is_shown_to_people",
    "DEVICE=cpu benchmarks/on_gpu.sh": "tests/benchmarks/test_on_gpu.py::"
    "test_parts_run_on_the_processor_and_write_their_figures",
    "benchmarks/on_gpu.sh": "tests/benchmarks/test_on_gpu.py::"
    "test_a_machine_without_a_gpu_is_told_how_to_rehearse",
    "benchmarks/on_gpu.sh --parts tests loop": "tests/benchmarks/test_on_gpu.py::"
    "test_a_machine_without_a_gpu_is_told_how_to_rehearse",
    "python -m tests.architecture.events_page": "tests/architecture/test_events.py::"
    "test_the_page_of_the_events_is_as_their_classes_say",
    'curl -i -H "Authorization: Bearer $TOKEN" -F files=@items.zip '
    "http://127.0.0.1:8000/projects/scenes/imports": "tests/app/cli/test_programs.py::"
    "test_a_program_does_what_the_page_about_programs_shows",
    'curl -i -H "Authorization: Bearer $TOKEN" -X POST '
    "http://127.0.0.1:8000/releases/1/build": "tests/app/cli/test_programs.py::"
    "test_a_program_does_what_the_page_about_programs_shows",
    'curl --fail -H "Authorization: Bearer $TOKEN" -o release.zip '
    "http://127.0.0.1:8000/releases/1/files/jsonl": "tests/app/cli/test_programs.py::"
    "test_a_program_does_what_the_page_about_programs_shows",
    "python -m tests.architecture.errors_page": "tests/architecture/test_errors_page.py::"
    "test_the_page_of_the_errors_is_as_their_classes_say",
    "python -m tests.architecture.settings_page": "tests/architecture/test_settings_page.py::"
    "test_the_page_of_the_settings_is_as_their_fields_say",
    "transformers serve --port 8001": "tests/worker/serving/test_transformers_server.py::"
    "test_a_whole_round_through_it",
    "transformers serve path/to/model --port 8001": "tests/worker/serving/"
    "test_transformers_server.py::test_a_whole_round_through_it",
    'python: from datasets import load_dataset\n\nrows = load_dataset("OUT", split="train")\n'
    'items = load_dataset("OUT", "items", split="train")': "tests/app/services/releases/"
    "test_releases_parquet.py::test_datasets_loads_rationales_and_every_other_kind",
    'python: from datasets import load_dataset\n\nrows = load_dataset("OUT", split="train")\n'
    'corrected = load_dataset("OUT", "written", split="train")': "tests/app/services/releases/"
    "test_releases_huggingface.py::test_corrected_texts_are_a_configuration_of_their_own",
}

# With what is still checked of them by tests/architecture/test_documented_commands.py.
FOREIGN = {
    ".venv/bin/python -m pytest tests/app/services/judging -k lease": "the tests are there",
    'make test-slow ARGS="tests/worker/test_kills.py"': "the tests are there",
    "pip install -c constraints.txt '.[metrics]'": "the extra is one of pyproject.toml's",
    ".venv/bin/pip install -c constraints.txt '.[metrics]'": "the extra is one of pyproject.toml's",
    "pip install -c constraints.txt '.[benchmarks]'": "the extra is one of pyproject.toml's",
    "pip install 'transformers[serving]'": "needs a network",
    "pip install 'illume[parquet]'": "needs a network; the extra is one of pyproject.toml's",
    "pip install 'illume[vision]'": "needs a network; the extra is one of pyproject.toml's",
    "pip install --no-deps 'torchvision==0.28.0+cpu'": "needs a network",
    "openssl rand -hex 32": "a program of the system",
    "cp .env.example .env": "the file is there",
    "docker compose up --detach": "needs Docker; tests/architecture/test_compose.py reads the file",
    "docker compose up --detach --scale worker-gpu=2": "the service is in docker-compose.yml",
    "docker compose run --rm web user add ada --admin": "the service is there, and so is the "
    "command of `illume`, which the image begins with",
    "docker build --target web -t illume-web .": "the target is in the Dockerfile",
    "docker build --target worker -t illume-worker .": "the target is in the Dockerfile",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve llava-hf/llava-1.5-7b-hf --port 8001 "
    '--enable-lora --max-lora-rank 64 --api-key "$KEY"': "vLLM needs a GPU",
    "python -m sglang.launch_server --model-path llava-hf/llava-1.5-7b-hf --port 8001 "
    '--enable-lora --max-lora-rank 64 --lora-target-modules all --api-key "$KEY"': "SGLang needs a "
    "GPU",
}
