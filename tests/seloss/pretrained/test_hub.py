"""Push and pull, by the real client library against a stand-in of the hub's API."""

from __future__ import annotations

import pytest
import torch
from huggingface_hub import constants

from asteroid.models import DCCRN
from seloss.pretrained import catalogue, load_model, model_names, write_weights
from seloss.pretrained.__main__ import main
from tests.seloss.pretrained.hub_server import TOKEN, HubServer

NAME = "dccrn-small-causal"


@pytest.fixture(scope="module")
def hub():
    with HubServer() as server:
        yield server


@pytest.fixture
def models(hub, tmp_path, monkeypatch, capsys, caplog):
    """Return what runs ``seloss models`` in a folder and with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # another protocol for large files
    # the client tries again after seconds, and says so to the stderr of whoever loaded it
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    caplog.set_level("CRITICAL", logger="huggingface_hub")

    def run(*arguments, status=0, token=TOKEN, endpoint=hub.address):
        monkeypatch.setenv("HF_TOKEN", token)
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        files = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        assert main([*map(str, arguments)]) == status
        out, err = capsys.readouterr()
        return out if status == 0 else err

    return run


def test_a_network_comes_back_with_its_card(hub, models, tmp_path):
    assert NAME in model_names()
    assert models("push", NAME, "me/net").startswith(f"{hub.address}/me/net/commit/")
    files = hub.files["me/net"]
    assert sorted(files) == ["README.md", f"{NAME}.sources.csv", "model.safetensors"]
    assert files["model.safetensors"] == (catalogue.FOLDER / f"{NAME}.safetensors").read_bytes()
    front, card = files["README.md"].decode().split("---\n\n", 1)
    assert card == catalogue.model_card(NAME)
    assert "license: mit\n" in front
    assert "- DCCRN\n" in front
    assert "net.safetensors: seloss enhance --model" in models("pull", "me/net")
    loaded, expected = load_model(tmp_path / "net.safetensors"), load_model(NAME)
    for name, value in expected.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert (tmp_path / "net.md").read_text().startswith("---\nlicense: mit\n")
    # what was pulled can be pushed again, with the licence said
    models("push", "net.safetensors", "me/again", "--licence", "mit", "--private")
    assert hub.files["me/again"]["README.md"] == files["README.md"]
    assert hub.private == {"me/net": False, "me/again": True}


def test_files_of_ones_own_need_card_and_licence(models, tmp_path):
    torch.manual_seed(0)
    write_weights(tmp_path / "own.safetensors", DCCRN(channels=(4, 8), hidden=8).serialize())
    message = models("push", "own.safetensors", "me/own", status=1)
    assert "say the licence of own.safetensors: --licence mit" in message
    message = models("push", "own.safetensors", "me/own", "--licence", "mit", status=1)
    assert "a network needs a card: write own.md" in message


def test_what_the_hub_refuses_and_what_is_damaged_is_one_line(hub, models, tmp_path):
    hub.files["me/foreign"] = {"model.safetensors": b"hello", "README.md": b"# hello"}
    for arguments, options, message in (
        (("push", NAME, "me/x"), {"token": "hf_wrong"}, "hub, me/x: "),
        (("push", NAME, "others/x"), {}, "hub, others/x: "),
        (("push", NAME, "a b"), {}, "'a b' is no OWNER/NAME"),
        (("pull", "me/none"), {}, "hub, me/none: "),
        (("pull", "me/foreign"), {}, "me/foreign: model.safetensors is damaged or not a safet"),
        (("pull", "me/foreign", "-o", "x.pth"), {}, "kept as .safetensors; got x.pth"),
        (("pull", "me/away"), {"endpoint": "http://127.0.0.1:9"}, "hub, me/away: "),
        (("push", "dccrn-smal", "me/x"), {}, f"did you mean {NAME}?"),
    ):
        error = models(*arguments, status=1, **options)
        assert message in error
        assert "Traceback" not in error
    assert not list(tmp_path.glob("*.safetensors"))
