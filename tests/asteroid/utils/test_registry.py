import pytest

from asteroid.utils.registry import Registry


@pytest.fixture
def shapes():
    registry = Registry("shape")
    registry.register("square")(lambda side=1.0: side**2)
    return registry


def test_a_part_is_built_by_name_with_its_options(shapes):
    assert shapes.build("square", side=3.0) == 9.0
    assert "square" in shapes


def test_an_unknown_name_is_refused_with_the_known_ones(shapes):
    with pytest.raises(ValueError, match="shape must be one of square; got 'circle'"):
        shapes.build("circle")


def test_a_near_name_is_proposed(shapes):
    with pytest.raises(ValueError, match=r"got 'sqare' \(did you mean square\?\)"):
        shapes.get("sqare")


def test_a_file_that_runs_again_replaces_its_own_and_no_others_name(shapes, tmp_path):
    shapes.register("square")(lambda: "again")
    assert shapes.build("square") == "again"
    file = str(tmp_path / "mine.py")
    for name, status in (("circle", "new"), ("circle", "again")):
        exec(compile(f"shapes.register({name!r})(lambda: {status!r})", file, "exec"))
    assert shapes.build("circle") == "again"
    with pytest.raises(ValueError, match=r"shape 'circle' is registered already, by .*mine\.py"):
        shapes.register("circle")
