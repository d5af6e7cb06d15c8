import pytest
import torch

from asteroid.losses import LOSSES, SumLoss, build_loss
from tests.asteroid.losses.signals import EVERY_LOSS, NEW_LOSSES, label, make_signals

FEW = [("xp1", {}), *EVERY_LOSS[1:-9:20], *NEW_LOSSES]


def _sum(*parts, **options):
    return SumLoss([{"name": name, "weight": w, **more} for name, w, more in parts], **options)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_sum_of_all_losses_is_the_sum_of_all_losses():
    est_targets, targets = make_signals(2, 1500)
    lengths = torch.tensor([1500, 1200])
    parts = [
        {"name": name, "weight": 0.5 + i, **options}
        for i, (name, options) in enumerate(FEW)
        if "sample_rate" not in options
    ]
    found = SumLoss(parts, reduction="none")(est_targets, targets, lengths)
    expected = sum(
        part["weight"]
        * build_loss(
            part["name"],
            reduction="none",
            **{k: v for k, v in part.items() if k not in ("name", "weight")},
        )(est_targets, targets, lengths)
        for part in parts
    )
    torch.testing.assert_close(found, expected)
    mean = SumLoss(parts)(est_targets, targets, lengths)
    torch.testing.assert_close(mean, expected.mean())


@pytest.mark.parametrize("loss", NEW_LOSSES, ids=label)
def test_a_sum_of_one_with_weight_1_is_that_loss(loss):
    name, options = loss
    rate = options.get("sample_rate", 16000)
    options = {k: v for k, v in options.items() if k != "sample_rate"}
    est_targets, targets = make_signals()
    found = _sum((name, 1, options), sample_rate=rate)(est_targets, targets)
    torch.testing.assert_close(found, build_loss(name, **loss[1])(est_targets, targets))


def test_weight_0_is_watched_but_costs_no_gradient():
    est_targets, targets = make_signals()
    est_targets.requires_grad_()
    loss = _sum(("mse", 1, {}), ("pmsqe", 0, {}), reduction="none")
    parts = loss.parts(est_targets, targets)
    assert parts["mse"].requires_grad
    assert not parts["pmsqe"].requires_grad
    assert (parts["pmsqe"] > 0).all()
    torch.testing.assert_close(loss.total(parts), parts["mse"])
    assert loss.gradient_shares(est_targets, targets)["pmsqe"] == 0


def test_gradient_shares_are_those_of_the_whole_gradient():
    est_targets, targets = make_signals()
    alone = _sum(("mse", 3, {}), ("mse", 1, {}))
    assert alone.gradient_shares(est_targets, targets) == pytest.approx(
        {"mse": 0.75, "mse_2": 0.25}
    )


def test_parts_of_one_kind_have_labels_of_their_own():
    loss = SumLoss(
        [
            {"name": "neg_sisdr", "scale": "mel", "label": "mel"},
            {"name": "neg_sisdr", "scale": "linear"},
            {"name": "neg_sisdr", "scale": "critical"},
        ]
    )
    assert list(loss.weights) == ["mel", "neg_sisdr", "neg_sisdr_2"]
    assert loss.described()[0]["label"] == "mel"
    assert SumLoss(loss.described()).weights == loss.weights


def test_balance_makes_the_sizes_what_the_weights_say():
    est_targets, targets = make_signals(4)
    for how in ("range", "gradient"):
        loss = _sum(("mse", 1, {}), ("lms", 10, {}), ("si_snr", 1, {}), balance_by=how)
        sizes = loss.balance_weights([(est_targets, targets, None)])
        weighted = {label: loss.weights[label] * size for label, size in sizes.items()}
        assert loss.weights["mse"] == 1
        assert weighted["lms"] == pytest.approx(10 * weighted["mse"])
        assert weighted["si_snr"] == pytest.approx(weighted["mse"])


def test_a_part_that_is_nothing_cannot_be_balanced():
    _, targets = make_signals()
    loss = _sum(("mse", 1, {}), ("lms", 1, {}), balance_by="range")
    with pytest.raises(ValueError, match="cannot balance mse: its size is 0 or not finite"):
        loss.balance_weights([(targets, targets, None)])


@pytest.mark.parametrize(
    ("parts", "options", "words"),
    [
        ([], {}, "at least one part"),
        ([{"name": "lsm"}], {}, "loss must be one of neg_sisdr, xp1, .*; got 'lsm'"),
        (
            [{"name": "lms", "n_mel": 3}],
            {},
            r"no argument n_mel \(did you mean n_mels\?\)",
        ),
        ([{"name": "lms", "weight": -1}], {}, "weight of lms must be 0 or more; got -1"),
        ([{"name": "lms", "weight": "1"}], {}, "weight of lms must be a number; got '1'"),
        ([{"name": "lms", "weight": float("nan")}], {}, "must be 0 or more; got nan"),
        ([{"name": "lms", "label": "a/b"}], {}, "made of letters, digits and _; got 'a/b'"),
        ([{"name": "lms"}], {"reduction": "sum"}, "reduction must be one of mean, none"),
        ([{"name": "lms"}], {"balance_by": "x"}, "balance_by must be one of range, gradient"),
    ],
)
def test_a_wrong_sum_is_refused(parts, options, words):
    with pytest.raises(ValueError, match=words):
        SumLoss(parts, **options)


def test_a_loss_of_ones_own_may_return_a_mean_or_know_no_reduction(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\n"
        "from asteroid.losses import SpeechLoss\n"
        "class Mean(torch.nn.Module):\n"
        "    def forward(self, est_targets, targets, lengths=None):\n"
        "        return (est_targets[:, 0] - targets[:, 0]).square().mean()\n"
        "class Power(SpeechLoss):\n"
        "    def __init__(self, exponent=2):\n"
        "        super().__init__()\n"
        "        self.exponent = exponent\n"
        "    def per_utterance(self, signals):\n"
        "        return ((signals.estimate - signals.target).abs() ** self.exponent).mean(-1)\n",
        encoding="utf-8",
    )
    est_targets, targets = make_signals(3)
    mse = build_loss("mse", reduction="none")(est_targets, targets)
    for name in ("Mean", "Power"):
        loss = SumLoss(
            [{"name": f"{file}:{name}"}, {"name": "mse", "weight": 2}],
            balance_by="range",
            reduction="none",
        )
        own = mse.mean() if name == "Mean" else mse
        torch.testing.assert_close(loss(est_targets, targets), own + 2 * mse)
        loss.balance_weights([(est_targets, targets, None)])
    cubic = SumLoss([{"name": f"{file}:Power", "exponent": 3}])
    assert cubic.losses["Power"].exponent == 3
    with pytest.raises(ValueError, match=r"did you mean exponent\?\); it has exponent"):
        SumLoss([{"name": f"{file}:Power", "exponents": 3}])


def test_a_file_of_ones_own_must_hold_a_loss(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("class NoLoss: pass\n", encoding="utf-8")
    with pytest.raises(ValueError, match="defines no torch module NoLoss"):
        SumLoss([{"name": f"{file}:NoLoss"}])
    with pytest.raises(FileNotFoundError, match=r"no file .*other\.py"):
        build_loss(f"{tmp_path / 'other.py'}:Loss")
    assert "lms" in LOSSES
