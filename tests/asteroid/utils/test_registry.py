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


def test_a_taken_name_is_refused(shapes):
    with pytest.raises(ValueError, match="shape 'square' is registered already"):
        shapes.register("square")
