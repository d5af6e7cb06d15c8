"""Networks on a hub of models: pushed with their card, pulled and checked.

Only safetensors travel, so that nothing of a hub is run. The client library is huggingface_hub,
which takes its token from ``hf auth login`` or ``HF_TOKEN`` and its hub from ``HF_ENDPOINT``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asteroid.utils.files import atomic_path, write_text

from .catalogue import find_weights, model_names
from .weights_file import WeightsError, read_weights

__all__ = ["pull_model", "push_model"]

WEIGHTS, CARD = "model.safetensors", "README.md"


def push_model(
    model: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    licence: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Write a network, its card and the table of its sources to a repository, in one commit.

    Args:
        model: Name of a network of the package, or a ``.safetensors`` file beside whose card,
            ``.md``, it lies.
        repo_id: ``OWNER/NAME``; made if it is not there.
        private: Whether one that is made is.
        licence: Of the weights, as the hub abbreviates it; those of the package are ``mit``.
        endpoint: Address of the hub; None: huggingface_hub's.

    Returns:
        Address of the commit.

    Raises:
        ValueError: There is no such network, no card, or no licence; or the id is none.
        WeightsError: The file is damaged or foreign.
        RuntimeError: The hub refuses, or is not reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi  # half a second, which few need

    path = find_weights(model)
    network = read_weights(path)["model_name"]
    licence = licence or ("mit" if str(model) in model_names() else None)
    if licence is None:
        raise ValueError(f"say the licence of {path}: --licence mit, cc-by-4.0 or another")
    card, sources = path.with_suffix(".md"), path.with_suffix(".sources.csv")
    if not card.is_file():
        raise ValueError(f"a network needs a card: write {card}")
    text = _with_front_matter(card.read_text(encoding="utf-8"), licence, network)
    parts: dict[str, Path | bytes] = {WEIGHTS: path, CARD: text.encode()}
    if sources.is_file():
        # the card links to it by name
        parts[sources.name] = sources
    api = HfApi(endpoint=endpoint)
    with _hub_errors(repo_id):
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.create_commit(
            repo_id,
            [CommitOperationAdd(name, content) for name, content in parts.items()],
            commit_message=f"{path.stem}: {network}",
        )
    return str(commit.commit_url)


def pull_model(
    repo_id: str,
    output: str | Path | None = None,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
) -> Path:
    """Fetch a network that `push_model` wrote, and its card.

    Args:
        repo_id: ``OWNER/NAME``.
        output: The file, ``.safetensors``; None: ``NAME.safetensors`` here. The card goes beside.
        revision: Branch, tag or commit; None: the newest.
        endpoint: Address of the hub; None: huggingface_hub's.

    Returns:
        The file, which `load_model` takes.

    Raises:
        ValueError: The id is none, or ``output`` has another suffix.
        WeightsError: What is there is damaged, or no network of ours.
        RuntimeError: The hub has no such repository or file, or is not reached.
    """
    from huggingface_hub import hf_hub_download

    target = Path(f"{repo_id.rpartition('/')[2]}.safetensors" if output is None else output)
    if target.suffix != ".safetensors":
        raise ValueError(f"a network is kept as .safetensors; got {target}")
    with _hub_errors(repo_id):
        weights, card = (
            Path(hf_hub_download(repo_id, name, revision=revision, endpoint=endpoint))
            for name in (WEIGHTS, CARD)
        )
    try:
        read_weights(weights)
    except WeightsError as error:
        raise WeightsError(f"{repo_id}: {str(error).replace(str(weights), WEIGHTS)}") from None
    write_text(target.with_suffix(".md"), card.read_text(encoding="utf-8"))
    with atomic_path(target, durable=True) as temporary:
        temporary.write_bytes(weights.read_bytes())
    return target


def _with_front_matter(card: str, licence: str, network: str) -> str:
    """Return a card with what the hub reads; one that has it already stays as it is."""
    if card.startswith("---\n"):
        return card
    tags = ("audio", "speech-enhancement", network)
    lines = [f"license: {licence}", "library_name: seloss", "pipeline_tag: audio-to-audio", "tags:"]
    return "\n".join(["---", *lines, *(f"- {tag}" for tag in tags), "---", "", card])


@contextmanager
def _hub_errors(repo_id: str) -> Iterator[None]:
    """Say in one line what the hub or the way to it refuses."""
    from huggingface_hub.utils import HFValidationError  # type: ignore[attr-defined]

    try:
        yield
    except HFValidationError as error:
        raise ValueError(f"{repo_id!r} is no OWNER/NAME: {_first_line(error)}") from error
    except Exception as error:  # the client's own, those of requests or those of httpx
        raise RuntimeError(f"hub, {repo_id}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
