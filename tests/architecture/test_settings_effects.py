"""Every setting of the installation has an effect, and a test that shows it from outside."""

import ast

import pytest

from app.kit.settings import Settings
from tests.architecture.lock import REPOSITORY

EFFECTS = "tests/app/kit/test_settings_effects.py"
PROXIES = "tests/app/web/http/test_proxies.py"
SERVER = "tests/worker/serving/test_settings.py"
SHOWN_BY = {
    "illume_home": "tests/app/supervisor/test_up.py::"
    "test_killed_supervisor_leaves_no_process_and_the_next_start_has_the_data",
    "database_url": "tests/app/services/operation/test_installation.py::"
    "test_services_that_do_not_answer_are_told_apart",
    "redis_url": "tests/app/services/operation/test_installation.py::"
    "test_services_that_do_not_answer_are_told_apart",
    "store": f"{EFFECTS}::test_store_is_where_pictures_go",
    "secret_key": f"{EFFECTS}::test_secret_key_decides_whose_sessions_are_good",
    "public_url": "tests/app/cli/test_accounts.py::test_links_carry_the_public_address",
    "host": f"{EFFECTS}::test_host_and_port_are_where_the_web_server_listens",
    "port": f"{EFFECTS}::test_host_and_port_are_where_the_web_server_listens",
    "web_processes": f"{EFFECTS}::test_web_processes_are_as_many_as_was_said",
    "device": "tests/app/cli/test_promises.py::test_commands_for_a_gpu_say_that_there_is_none",
    "torch_threads": f"{EFFECTS}::test_torch_threads_are_what_a_model_worker_computes_with",
    "sampling_server": f"{SERVER}::test_the_address_is_the_server_that_is_asked",
    "sampling_server_key": f"{SERVER}::test_the_key_opens_a_server_that_wants_one",
    "sampling_server_requests": f"{SERVER}::test_requests_are_how_many_are_open_at_once",
    "sampling_server_seconds": f"{SERVER}::test_seconds_are_how_long_an_answer_is_waited_for",
    "lease_minutes": f"{EFFECTS}::test_lease_minutes_are_how_long_an_item_stays_reserved",
    "stale_seconds": f"{EFFECTS}::test_stale_seconds_are_how_long_a_silent_run_is_left_alone",
    "sweep_seconds": f"{EFFECTS}::test_sweep_seconds_are_the_pace_of_beat",
    "heartbeat_seconds": f"{EFFECTS}::test_heartbeat_seconds_are_the_pace_of_a_worker",
    "max_upload_mb": f"{EFFECTS}::test_max_upload_mb_bounds_what_an_import_takes",
    "allowed_hosts": "tests/app/web/http/test_hosts.py::test_names_of_the_setting_are_answered",
    "trusted_proxies": f"{PROXIES}::test_only_trusted_proxies_say_who_is_asking",
    "log_format": f"{EFFECTS}::test_log_format_json_makes_every_line_an_object",
}


def test_every_setting_has_a_test_of_its_effect() -> None:
    """A new setting comes with one: name it here."""
    assert sorted(SHOWN_BY) == sorted(Settings.model_fields)


@pytest.mark.parametrize("place", sorted(set(SHOWN_BY.values())))
def test_the_tests_are_there(place: str) -> None:
    path, _, name = place.partition("::")
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
