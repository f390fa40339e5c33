"""The simulated annotators of `python -m benchmarks.judging`, against a server of few words."""

import asyncio
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.kit.errors import AppError
from app.kit.processes.children import start_process, stop_process
from app.supervisor.address import listen
from benchmarks.support.judging_cell import _accepts
from benchmarks.support.judging_load import Load, run_load
from tests.support.processes import wait_for

CONFIG: dict[str, object] = {"way": "script", "drafts": 0}
NOTHING = "<main>Nothing to judge</main>"
LISTENER = """
import asyncio, socket, sys
async def main():
    taken = socket.socket(fileno=int(sys.argv[1]))
    await asyncio.start_server(lambda reader, writer: writer.close(), sock=taken)
    print("listening", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def item(number: int) -> str:
    choices = "".join(f'<input name="picked" value="{one}">' for one in (1, 2, 3))
    return f'<p data-judgement-id="{number}"><input name="version" value="0">{choices}'


def judge(answer: Callable[[int], str | None], seconds: float, **wanted: int) -> Load:
    """Let one person judge; `answer` gives the page for the first, second, … request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal n_asked
        while head := await reader.read(65536):
            if length := re.search(rb"Content-Length: (\d+)", head):
                missing = int(length[1]) - len(head.partition(b"\r\n\r\n")[2])
                await reader.readexactly(missing) if missing > 0 else None
            n_asked += 1
            page = answer(n_asked)
            if page is None:
                break
            status = "403 Forbidden" if page.startswith("<main>No.") else "200 OK"
            reply = f"HTTP/1.1 {status}\r\ncontent-length: {len(page)}\r\n\r\n{page}"
            writer.write(reply.encode())
        writer.close()
        await writer.wait_closed()

    async def work() -> Load:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await run_load(CONFIG, 1, port, ["cookie"], seconds, **wanted)

    n_asked = 0
    return asyncio.run(work())


def test_somebody_judges_one_item_when_the_time_is_over_before_the_first_page_came() -> None:
    assert judge(item, seconds=0.0).acknowledged == {1}


def test_somebody_who_finds_nothing_looks_again_while_the_queue_is_not_worked_off() -> None:
    # As when others lock the last item at the moment of asking.
    pages = [NOTHING, NOTHING, item(7), item(8), NOTHING]
    load = judge(lambda n: pages[n - 1], seconds=60.0, n_wanted=2)
    assert load.acknowledged == {7, 8}


def test_somebody_who_finds_nothing_goes_where_nothing_is_to_be_worked_off() -> None:
    assert judge(lambda n: NOTHING, seconds=60.0).acknowledged == set()


def test_an_answer_that_refuses_is_told_in_its_words() -> None:
    with pytest.raises(AppError, match=r"answered 403 to GET /rounds/1/judge: No. Not you\."):
        judge(lambda n: "<main>No. <b>Not you.</b>", seconds=1.0)


def test_a_server_that_ends_the_connection_is_told() -> None:
    with pytest.raises(AppError, match="ended the connection instead of answering"):
        judge(lambda n: None, seconds=1.0)


@pytest.mark.skipif(
    not sys.platform.startswith("linux"),
    reason="only Linux tells in /proc which sockets a process watches",
)
def test_a_process_is_seen_to_take_connections_once_it_listens(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as listener, (tmp_path / "log").open("wb") as output:
        number, inode = listener.fileno(), os.fstat(listener.fileno()).st_ino
        silent = start_process(("sleep", "60"), output=output, pass_fds=(number,))
        listening = start_process(
            (sys.executable, "-c", LISTENER, str(number)), output=output, pass_fds=(number,)
        )
        try:
            wait_for(lambda: _accepts(listening.pid, inode))
            assert not _accepts(silent.pid, inode)
        finally:
            for process in (silent, listening):
                stop_process(process)
        assert not _accepts(listening.pid, inode)
