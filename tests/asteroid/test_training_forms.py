"""Every network as training may run it: in bf16, and compiled without a break in its graph."""

import pytest
import torch

from asteroid.losses import build_loss
from tests.asteroid.networks import NETWORKS, build, inputs

# bf16 has 8 bits: one rounding is 0.4 %, and networks round some ten times one after another.
BF16_OUTPUT, BF16_LOSS_DB = 0.05, 0.5
ROUNDING = 1e-4  # a compiled graph takes sums in another order

LOSSES = {
    "weighted SI-SDR": lambda: build_loss("neg_sisdr", scale="mel", weights_type="speech_norm"),
    "log-mel": lambda: build_loss("lms"),
}


def step(name, loss, *, bf16=False):
    """One training step towards what the network almost gives; estimate, loss and gradients."""
    network, (mixture, *mics) = build(name).train(), inputs(name)
    with torch.no_grad():
        output = build(name).train()(mixture, *mics)[:, 0]
    noise = 0.3 * output.std(-1, keepdim=True) * mixture[:, 0] / mixture[:, 0].std(-1, keepdim=True)
    references = torch.stack([output + noise, noise], 1)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        estimate = network(mixture, *mics)
        value = loss(estimate, references, torch.tensor([4000, 3000]))
    value.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return estimate.detach().float(), value.detach(), gradients


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_in_bf16_is_that_of_float32_to_its_few_digits(name, loss):
    exact, value, gradients = step(name, LOSSES[loss]())
    rough, rough_value, rough_gradients = step(name, LOSSES[loss](), bf16=True)
    assert rough_value.dtype == torch.float32
    assert float((rough_value - value).abs()) < BF16_LOSS_DB
    assert float((rough - exact).norm() / exact.norm()) < BF16_OUTPUT
    assert float((rough - exact).abs().max()) > 0  # autocast did something
    assert len(rough_gradients) == len(gradients)
    assert all(gradient.isfinite().all() for gradient in rough_gradients)


@pytest.mark.slow
# The graphs of the nested networks take more than ten minutes to be traced.
@pytest.mark.parametrize("name", ["FaSNet-TAC", "DCCRN", "DCCRN, causal", "DCUnet"])
def test_the_training_pass_is_one_graph(name):
    torch._dynamo.reset()
    mixture = inputs(name)[0]  # numbers of microphones are read by the host: here all exist
    network, gradients, outputs = build(name).train(), [], []
    # PyTorch breaks graphs at its own LSTM unless asked not to; no other break is allowed.
    with torch._dynamo.config.patch(allow_rnn=True):
        compiled = torch.compile(network.__call__, backend="aot_eager", fullgraph=True)
        for run in (network, compiled):
            network.zero_grad(set_to_none=True)
            outputs.append(run(mixture))
            outputs[-1].square().mean().backward()
            gradients.append([p.grad for p in network.parameters() if p.grad is not None])
    difference = (outputs[1] - outputs[0]).abs().max()
    assert float(difference) < ROUNDING * float(outputs[0].abs().max())
    largest = max(float(gradient.abs().max()) for gradient in gradients[0])
    for theirs, ours in zip(*gradients, strict=True):
        assert float((ours - theirs).abs().max()) < ROUNDING * largest
