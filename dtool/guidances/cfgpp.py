"""CFG++: the guided image, with the noise that the network predicts without the conditions."""

from __future__ import annotations

from dtool.guidances.guidance import Guided, Level, guidance


@guidance("cfgpp", cite="arXiv:2406.08070, algorithm 2", has_limit=False)
def cfgpp(level: Level) -> Guided:
    """Any row on x + α·(D - D_without), D the guided image: its ε is then that without the conditions.

    Scales are at most 1, or little more. For a row of DDIM it is plain guidance with a scale that depends on how long
    the step is, so that more steps lead to no limit. It acts on every evaluation, within a step too: each then has an
    image, a noise and an x = α·D + σ·ε_without that go together, as a rule expects them. Where D and ε_without do not
    change within a step, every rule that keeps the marginals thus makes the paper's, α'·D + σ'·ε_without. A shift at
    the beginning of a step alone would leave its other evaluations to the guided noise, which CFG++ is there to avoid.
    """
    return Guided(1.0, shift=level.alpha)
