"""The course of `illume up`: check, start, keep running, stop in order."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from app.embedded import EmbeddedServices, HomeLock, embedded_services, open_home
from app.kit.errors import SetupError
from app.kit.processes.programs import WORKER_PACKAGES, require_packages
from app.kit.schema_upgrade import migrate
from app.kit.settings import ADDRESS_FILE, Settings, choose_settings, environment_for_children
from app.kit.storage import keep_private
from app.supervisor.address import is_ready, listen
from app.supervisor.child import Child, Hurry, Spec, stop_together
from app.supervisor.commands import beat_command, web_command, worker_command
from app.supervisor.output import Output

PROCESSES_FILE = "processes.json"
POLL_SECONDS = 0.05
READY_SECONDS = 120.0
FAILED_WEB_STARTS = 3

Step = Callable[[], None]


@dataclass(frozen=True)
class Plan:
    """The processes of an installation; tests supervise smaller ones."""

    migrate: Step
    specs: tuple[Spec, ...]


def default_plan(settings: Settings, listener: int) -> Plan:
    """Returns the processes to run: web processes on the socket `listener`, one light and one model
    worker, and beat.
    """
    # A worker first finishes what it has begun, then stops at once: its shard or its saved state
    # goes on from there at the next start.
    patient = ((signal.SIGTERM, 10.0), (signal.SIGQUIT, 5.0))
    numbers = range(1, settings.web_processes + 1)
    names = [f"web-{number}" for number in numbers] if settings.web_processes > 1 else ["web"]
    web = web_command(settings, listener)
    return Plan(
        migrate=migrate,
        specs=(
            *(Spec(name, web, stop_order=1, pass_fds=(listener,)) for name in names),
            Spec("worker", worker_command(["cpu"]), stop_steps=patient),
            Spec("model worker", worker_command(["gpu"]), stop_steps=patient),
            Spec("beat", beat_command(settings.illume_home)),
        ),
    )


def up(
    settings: Settings,
    *,
    prepare: Step | None = None,
    announce: Step | None = None,
    output: Output | None = None,
    make_plan: Callable[[Settings, int], Plan] = default_plan,
    packages: Sequence[str] = WORKER_PACKAGES,
) -> None:
    """Run until Ctrl-C or SIGTERM; all that was started is stopped when this returns.

    `prepare` runs once the database is migrated, beside the starting processes; `announce` once it
    is done and the web server is ready. Raises SetupError, in one line, when something is missing.
    """
    require_packages(packages, who="The model worker", how="pip install 'illume[worker]'")
    supervisor = _Supervisor(settings, output or Output())
    with ExitStack() as stack:
        stack.enter_context(_signals(supervisor.ask_to_stop))
        home = open_home(settings.illume_home)
        stack.callback(os.umask, keep_private())
        lock = stack.enter_context(HomeLock(home))
        listener = stack.enter_context(listen(settings.host, settings.port))
        stack.callback((home / ADDRESS_FILE).unlink, missing_ok=True)
        settings.record_address()
        if settings.is_embedded:
            services = embedded_services(
                home,
                with_postgres=settings.database_url is None,
                with_redis=settings.redis_url is None,
                notify=lambda name, text: supervisor.output.say(text, name),
                lock=lock,
            )
            supervisor.services = stack.enter_context(services)
        stack.callback((home / PROCESSES_FILE).unlink, missing_ok=True)
        stack.callback(supervisor.stop)
        supervisor.run(make_plan(settings, listener.fileno()), prepare, announce)


@contextmanager
def _signals(on_stop: Step) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into a call of `on_stop`."""

    def receive(_number: int, _frame: FrameType | None) -> None:
        on_stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, receive) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Supervisor:
    def __init__(self, settings: Settings, output: Output) -> None:
        self.output = output
        self.services: EmbeddedServices | None = None
        self._settings = settings
        self._children: list[Child] = []
        self._is_stopping = False
        self._n_signals = 0
        self._hurry = Hurry()
        self._started_at = time.monotonic()
        self._recorded: dict[str, int] = {}

    def ask_to_stop(self) -> None:
        """Called by signals: the first time orderly, the second without waiting for anybody."""
        self._n_signals += 1
        self._is_stopping = True
        self._hurry.is_asked_for = self._n_signals > 1
        if self._n_signals > 2:
            os._exit(130)  # the kernel ends the children of a process that is gone

    def run(self, plan: Plan, prepare: Step | None, announce: Step | None) -> None:
        self._hand_on_address()
        self._migrate(plan.migrate)
        if self._is_stopping:
            return
        env = self._environment()
        self._children = [Child(spec, self.output, env) for spec in plan.specs]
        for child in self._children:
            child.start()
        preparation = _Preparation(prepare)
        if self._wait_until_ready(preparation):
            took = time.monotonic() - self._started_at
            self.output.say(f"ready after {took:.1f} s at {self._settings.base_url}")
            if announce is not None:
                announce()
            self.output.say("Ctrl-C stops everything.")
        while not self._is_stopping:
            self._tend()

    def stop(self) -> None:
        """Workers and beat first, so that nobody asks a web server or database that is gone."""
        self._is_stopping = True
        if self._children:
            self.output.say("stopping; Ctrl-C again stops at once")
        for order in sorted({child.spec.stop_order for child in self._children}):
            group = [child for child in self._children if child.spec.stop_order == order]
            stop_together(group, self._hurry, self.output)
        self._children = []

    def _hand_on_address(self) -> None:
        """Let children, and the steps that run in here, know what the command line chose."""
        choose_settings(
            host=self._settings.host,
            port=str(self._settings.port),
            illume_home=str(self._settings.illume_home),
        )

    def _environment(self) -> Mapping[str, str]:
        return {**environment_for_children(), "PYTHONUNBUFFERED": "1"}

    def _migrate(self, step: Step) -> None:
        """In this process: a program of its own would first load all of SQLAlchemy again."""
        begun = time.monotonic()
        try:
            step()
        except Exception as error:
            raise SetupError(
                f"The database could not be brought to the newest schema: {_first_line(error)}. "
                "Nothing else was started. `illume check` says more."
            ) from error
        self.output.say(f"up to date after {time.monotonic() - begun:.1f} s", "migrate")

    def _wait_until_ready(self, preparation: "_Preparation") -> bool:
        """Tend the children until the web server answers; False when asked to stop before."""
        web = [child for child in self._children if child.spec.name.startswith("web")]
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_stopping:
            self._tend()
            if any(child.n_deaths >= FAILED_WEB_STARTS for child in web):
                raise SetupError("The web server does not start; its lines above say why.")
            web_runs = any(child.is_running for child in web)
            if preparation.is_over() and web_runs and self._web_answers():
                return True
            if not preparation.is_running and time.monotonic() > deadline:
                raise SetupError(
                    f"The web server was not ready within {READY_SECONDS:.0f} s; "
                    "the lines above say why."
                )
        return False

    def _web_answers(self) -> bool:
        return is_ready(self._settings.host, self._settings.port)

    def _tend(self) -> None:
        for child in self._children:
            child.tend()
        self._record()
        time.sleep(POLL_SECONDS)

    def _record(self) -> None:
        """Keep process numbers readable for `illume check` and for whoever looks after a crash."""
        running = {
            child.spec.name: child.process.pid
            for child in self._children
            if child.process is not None
        }
        served = self.services.pids() if self.services else {}
        recorded = {"supervisor": os.getpid(), **served, **running}
        if recorded != self._recorded:
            self._recorded = recorded
            _replace_json(self._settings.illume_home / PROCESSES_FILE, recorded)


class _Preparation:
    """Runs a step in a thread, so that children are tended meanwhile; passes its error on."""

    def __init__(self, step: Step | None) -> None:
        self._step = step
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="prepare", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def is_over(self) -> bool:
        if self._thread.is_alive():
            return False
        if self._error is not None:
            raise self._error
        return True

    def _run(self) -> None:
        try:
            if self._step is not None:
                self._step()
        except BaseException as error:
            self._error = error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).strip().rstrip(".")


def _replace_json(path: Path, content: Mapping[str, int]) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
