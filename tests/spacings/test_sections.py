"""The sections of improved diffusion."""

from dtool.spacings import get_spacing
from tests.support.spacings import LINEAR


def test_sections():
    """OpenAI's: parts of equal length, the first ones longer by the remainder, evenly from first to last."""
    expected = sorted([round(i * 333 / 9) for i in range(10)] + [334 + round(i * 332 / 14) for i in range(15)])
    expected += [667 + round(i * 332 / 19) for i in range(20)]
    for token in ("sections:counts=10;15;20", 'sections:counts="10,15,20"'):
        assert get_spacing(token)(LINEAR, 45).tolist() == expected[::-1]
    assert get_spacing("sections:counts=ddim50")(LINEAR, 50).tolist() == list(range(0, 1000, 20))[::-1]
    assert get_spacing("sections:counts=1;1")(LINEAR, 2).tolist() == [500, 0]
    assert get_spacing("sections")(LINEAR, 10).tolist() == [round(i * 111) for i in reversed(range(10))]
