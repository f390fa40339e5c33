"""Whether the installation's sampling server answers, and with which models."""

import httpx2

from app.kit.errors import SetupError
from app.kit.settings import Settings

SECONDS = 5.0


def check_sampling_server(settings: Settings) -> str:
    """Returns what there is to say of the sampling server; the key is shown to it and to nobody
    else. Raises SetupError with the mend.
    """
    url = settings.sampling_server
    if url is None:
        return "none is set; rounds are sampled by the model workers themselves"
    key = settings.sampling_server_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        response = httpx2.get(f"{url}/models", headers=headers, timeout=SECONDS)
    except httpx2.HTTPError as error:
        said = str(error) or type(error).__name__
        raise SetupError(
            f"{url} does not answer ({said}). Start it, or correct SAMPLING_SERVER."
        ) from error
    if response.status_code in (401, 403):
        raise SetupError(f"{url} refuses the key. Correct SAMPLING_SERVER_KEY.")
    if response.status_code in (404, 405):
        raise SetupError(f"{url} is no OpenAI-compatible server. Correct SAMPLING_SERVER.")
    names = _model_names(response)
    if not names:
        # transformers' own server lists what was downloaded, not what it serves.
        return f"{url} answers but lists no model: name it in the project's settings"
    return f"{url} answers and lists {', '.join(names)}"


def _model_names(response: httpx2.Response) -> list[str]:
    try:
        return [str(entry["id"]) for entry in response.json()["data"]]
    except (ValueError, KeyError, TypeError):
        return []
