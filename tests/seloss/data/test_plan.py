"""What mixtures are made of."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from seloss.data.corpus.recording import Recording
from seloss.data.formats.manifest import DataError
from seloss.data.mixing.room_plan import MixingConfig, draw_plan

CONFIG = MixingConfig()


def recording(name, group, seconds=2.0, channels=1):
    return Recording(Path("/") / name, name, group, "train", seconds, channels)


SPEECH = [recording(f"s{who}/{index}", f"s{who}") for who in range(4) for index in range(5)]
NOISE = [recording(f"n{kind}/{index}", f"n{kind}") for kind in range(3) for index in range(3)]


def plans(n=200, config=CONFIG, split="train", **pools):
    pools = {"speech": SPEECH, "noise": NOISE, **pools}
    return [draw_plan(config, split, index, **pools) for index in range(n)]


def test_a_plan_depends_on_seed_split_and_index_alone():
    assert plans(5) == plans(20)[:5]
    assert plans(5) != plans(5, replace(CONFIG, seed=1))
    of_test = [plan.noise for plan in plans(20, split="test")]
    assert [plan.noise for plan in plans(20, split="valid")] != of_test
    assert len({plan.snr_db for plan in plans(20)}) == 20
    assert plans(8)[7].id == "train-00007"


def test_ranges_are_used_in_full():
    config = replace(CONFIG, snr_db=(-3.0, 7.0), level_db=(-40.0, -20.0))
    for name, (low, high) in {"snr_db": (-3.0, 7.0), "level_db": (-40.0, -20.0)}.items():
        values = [getattr(plan, name) for plan in plans(200, config)]
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(values) <= high


def test_training_strings_utterances_of_one_speaker_together():
    for plan in plans(50, replace(CONFIG, seconds=5.0)):
        assert sum(one.seconds for one in plan.utterances) == 6.0
        assert len({one.group for one in plan.utterances}) == 1


def test_validation_and_test_hold_one_utterance():
    for split in ("valid", "test"):
        assert all(len(plan.utterances) == 1 for plan in plans(20, split=split))


def test_everyone_is_heard_with_the_root_of_how_much_there_is_of_them():
    unequal = [recording("long", "long", 90.0), recording("short", "short", 10.0)]
    counts = Counter(plan.noise.group for plan in plans(2000, noise=unequal))
    assert counts["long"] / counts["short"] == pytest.approx(3.0, rel=0.15)
    heard = Counter(plan.utterances[0].name for plan in plans(1000))
    assert len(heard) == len(SPEECH)
    assert max(heard.values()) < 2.5 * min(heard.values())


def test_talker_and_noise_get_two_responses_of_one_room():
    rooms = [
        recording(f"{room}/{index}", room, channels=4) for room in ("a", "b") for index in range(3)
    ]
    rooms += [recording("a/other", "a", channels=2), recording("lonely/1", "lonely", channels=4)]
    seen = set()
    for plan in plans(100, rir=rooms):
        talker, noise = plan.responses
        assert talker.group == noise.group
        assert talker.channels == noise.channels == 4
        assert talker.name != noise.name
        seen.add((talker.name, noise.name))
    assert len(seen) == 12
    assert plans(1)[0].responses is None
    with pytest.raises(DataError, match="no room has two responses"):
        plans(1, rir=rooms[-2:])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"geometry": "line"}, "geometry must be one of binaural, adhoc, circular; got 'line'"),
        ({"n_mics": (5, 5)}, "n_mics must lie between 2 and 4"),
        ({"geometry": "adhoc", "n_mics": (0, 2)}, "n_mics must lie between 1 and 32"),
        ({"rt60_s": (0.5, 0.2)}, "lowest first"),
        ({"rt60_s": (0.0, 0.2)}, "rt60_s must lie between"),
        ({"snr_db": (0.0, 41.0)}, "snr_db must lie between -40 and 40"),
        ({"distance_m": (0.0, 1.0)}, "distance_m must"),
        ({"level_db": (-20.0, 0.0)}, "level_db must"),
        ({"seconds": 0.1}, "seconds must"),
        ({"max_seconds": float("nan")}, "max_seconds must"),
        ({"sample_rate": 4000}, "sample_rate must"),
    ],
)
def test_a_wrong_setting_is_refused_at_once(wrong, said):
    with pytest.raises(ValueError, match=said):
        MixingConfig(**wrong)
