"""Pretrained models: numbers, times, layers, and what is refused."""

from __future__ import annotations

import pytest
import torch

from seloss.embeddings import DistilledXlsr, HubEmbedder, build_embedder


def tone(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    t = torch.arange(count) / 16000
    return 0.1 * torch.sin(2 * torch.pi * 300 * t) + 0.01 * torch.randn(count, generator=generator)


@pytest.fixture(scope="module")
def distilled():
    return DistilledXlsr()


@pytest.fixture(scope="module", params=["wavlm", "hubert", "wav2vec2"])
def saved(request, tmp_path_factory):
    """A folder with a tiny model of random weights, as transformers saves it."""
    import transformers

    kinds = {
        "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
        "hubert": (transformers.HubertConfig, transformers.HubertModel),
        "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
    }
    config, model = kinds[request.param]
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 16, "conv_dim": (8,) * 7, "num_conv_pos_embeddings": 8}
    folder = tmp_path_factory.mktemp(request.param)
    model(config(**sizes, num_conv_pos_embedding_groups=2)).save_pretrained(folder)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=request.param == "wavlm")
    extractor.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("count", [1, 400, 16000, 16399])
def test_hub_models_give_every_hidden_state_with_its_time(saved, count):
    embedder = HubEmbedder(str(saved))
    values = embedder.embed(tone(count))
    times = embedder.times(count)
    assert values.shape == (3, len(times), 16)
    assert (embedder.n_layers, embedder.size, embedder.sample_rate) == (3, 16, 16000)
    assert times[0] == 200 / 16000
    assert torch.allclose(times.diff(), torch.tensor(0.02, dtype=times.dtype), atol=1e-12)


def test_hub_models_are_those_of_the_library_fed_as_their_files_say(saved):
    from transformers import AutoFeatureExtractor, AutoModel

    signal = tone(8000)
    model = AutoModel.from_pretrained(saved).eval()
    prepared = AutoFeatureExtractor.from_pretrained(saved)(
        signal.numpy(), sampling_rate=16000, return_tensors="pt"
    )
    with torch.no_grad():
        states = model(prepared.input_values, output_hidden_states=True).hidden_states
    values = HubEmbedder(str(saved)).embed(signal)
    assert (values - torch.cat(states)).abs().max() < 1e-4
    last = HubEmbedder(str(saved), layer=-1).embed(signal)
    assert torch.equal(last, values[-1:])


def test_times_of_hub_models_say_where_a_frame_looks(saved):
    """A click moves the convolutions' output where the times say, and nowhere else."""
    embedder = HubEmbedder(str(saved), normalise=False)
    signal = tone(16000)
    clicked = signal.clone()
    clicked[8000] += 1.0

    def features(x):
        with torch.no_grad():
            return embedder._model.feature_extractor(x[None])[0]

    # wav2vec 2.0's first layer normalises over time, which spreads a little of it everywhere
    change = (features(clicked) - features(signal)).abs().amax(0)
    times = embedder.times(16000)
    assert abs(times[change.argmax()].item() - 0.5) <= 0.0125


def test_distilled_model_repeats_its_own_judgement(distilled):
    """Its last layer through the rest of the published model gives the published model's score."""
    signal = tone(20000)
    padded = torch.nn.functional.pad(signal, (0, 122880 - 20000))[None]
    model = distilled._model
    with torch.no_grad():
        expected = model(signal[None])
        head = model.transformer_pool_attn
        last = distilled.hidden_states(padded[0])[-1][None]
        pooled = head.pool(head.norm_trans(last.transpose(1, 2)).transpose(1, 2))
        score = 1 + 4 * torch.sigmoid(pooled.squeeze(-1))
    assert (score - expected).abs().max() < 1e-5


def test_distilled_model_has_a_vector_every_twenty_milliseconds(distilled):
    values = distilled.embed(tone(16000))
    assert values.shape == (8, 50, 200)
    assert distilled.times(16000)[[0, 1]].tolist() == [0.005, 0.025]
    assert distilled.embed(tone(1)).shape == (8, 1, 200)


def test_times_of_the_distilled_model_say_where_a_frame_looks(distilled):
    """Silence with one click: the convolutions answer most at the frame of its time."""
    signal = torch.zeros(122880)
    signal[40_000] = 1.0
    with torch.no_grad():
        quiet = distilled._model.cnn(torch.zeros(1, 122880))
        change = (distilled._model.cnn(signal[None]) - quiet).abs().amax(1)[0]
    assert abs(distilled.times(122880)[change.argmax()].item() - 2.5) <= 0.02


def test_long_signals_go_through_in_windows_that_agree_where_they_join(distilled):
    signal = tone(200_000)
    values = distilled.embed(signal)
    assert values.shape[1] == 625
    first = distilled.embed(signal[:122_880])
    assert torch.allclose(values[:, :96], first[:, :96], atol=1e-5)  # all from the first window
    assert torch.isfinite(values).all()


def test_embeddings_tell_signals_apart(distilled):
    a, b = distilled.embed(tone(16000)), distilled.embed(tone(16000).flip(0) ** 3)
    assert (a - b).abs().mean() > 0.01


def test_silence_is_embedded(distilled):
    assert torch.isfinite(distilled.embed(torch.zeros(5000))).all()


def test_what_embeddings_depend_on_is_told(saved, distilled):
    told = HubEmbedder(str(saved), layer=1).describe()
    assert told["layer"] == 1
    assert len(told["weights"]) == 16
    again = HubEmbedder(str(saved))
    next(again._model.parameters()).data.add_(1e-3)
    from seloss.embeddings.embedder import weights_digest

    assert weights_digest(again._model) != told["weights"]
    assert distilled.describe()["model"] == "distillmos variant 7"


def test_what_cannot_be_had_is_refused_at_the_start(saved, tmp_path, distilled):
    with pytest.raises(FileNotFoundError, match="neither the folder of a model saved"):
        build_embedder("hub", path=str(tmp_path / "nothing"), offline=True)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="it is 'bert'"):
        build_embedder("hub", path=str(tmp_path))
    with pytest.raises(ValueError, match=r"layer must be from -3 to 2.*got 3"):
        HubEmbedder(str(saved), layer=3)
    with pytest.raises(ValueError, match="layer must be a number or 'all'; got 'last'"):
        HubEmbedder(str(saved), layer="last")
    with pytest.raises(ValueError, match="embedder must be one of distilled_xlsr, hub; got 'x'"):
        build_embedder("x")
    with pytest.raises(ValueError, match="finite and not empty"):
        distilled.embed(torch.full((100,), torch.nan))
    with pytest.raises(ValueError, match=r"shape \(samples,\)"):
        distilled.embed(torch.zeros(1, 100))


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "distillmos.sqa", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install distillmos==0\.9\.1"):
        DistilledXlsr()
