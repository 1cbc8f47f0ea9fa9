"""A small neural network that learns handwritten digits, epoch by epoch: hopeless trainings can be ended early.

The objective is a generator: what it yields after each epoch is a step, which `stop` in ``sweeps/network.yaml`` looks at.
Before that it saves the network, so a training that was killed, or ended early and promoted later, goes on from there.
The order of the images in an epoch follows from the seed and the epoch alone: a training that was interrupted gives bit
by bit what it would have given.

The data are those of ``sweeps/digits.py``. Sources: D. E. Rumelhart, G. E. Hinton and R. J. Williams, Learning representations
by back-propagating errors, Nature 323 (1986), 533, doi 10.1038/323533a0 (the gradient); Y. Nesterov (1983), as in
I. Sutskever et al., ICML 28 (2013), 1139 (the momentum); K. He et al., ICCV (2015), doi 10.1109/ICCV.2015.123 (the start).
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import swath

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Layers = list[NDArray[np.float64]]

KINDS = 10  # digits


def train(
    rate: float, momentum: float, hidden: int, batch: int, decay: float, seed: int, epochs: int
) -> Iterator[dict[str, float]]:
    """Train a network with one hidden layer by stochastic gradient descent.

    Parameters
    ----------
    rate : float
        Length of a step, per unit of gradient.
    momentum : float
        How much of the last step is taken again, in [0, 1).
    hidden : int
        Units of the hidden layer.
    batch : int
        Images that one step looks at.
    decay : float
        Weight of half the sum of all squared weights in the loss.
    seed : int
        Decides the start and the order of the images.
    epochs : int
        How often every image of the training is seen.

    Yields
    ------
    dict
        ``step``: the epoch, from 1 on; ``loss``: mean negative log likelihood of the 450 test images, in nats;
        ``accuracy``: the share of them that is named rightly.
    """
    images, tests, digits, answers = split()
    file = swath.checkpoint() / "network.npz"
    done, layers, steps = load(file) if file.exists() else (0, start(hidden, seed), None)
    steps = steps or [np.zeros_like(layer) for layer in layers]
    for epoch in range(max(done, 1), epochs + 1):
        if epoch > done:  # else it was saved, but perhaps not heard
            order = np.random.default_rng([seed, epoch]).permutation(len(images))
            for first in range(0, len(images), batch):
                few = order[first : first + batch]
                ahead = [layer + momentum * step for layer, step in zip(layers, steps, strict=True)]
                slopes = gradient(ahead, images[few], digits[few], decay)
                steps = [momentum * step - rate * slope for step, slope in zip(steps, slopes, strict=True)]
                layers = [layer + step for layer, step in zip(layers, steps, strict=True)]
            save(file, epoch, layers, steps)
        yield {"step": epoch, **measured(layers, tests, answers)}


def start(hidden: int, seed: int) -> Layers:
    """Give weights and biases of two layers, the weights normal with variance 2 / inputs."""
    random = np.random.default_rng(seed)
    sizes = [(64, hidden), (hidden, KINDS)]
    return [
        part
        for inputs, units in sizes
        for part in (random.normal(0, (2 / inputs) ** 0.5, (inputs, units)), np.zeros(units))
    ]


def outputs(layers: Layers, images: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the hidden units (n, hidden) and the log probabilities of the digits (n, 10) for `images` (n, 64)."""
    inner, inner_bias, outer, outer_bias = layers
    hidden = np.maximum(images @ inner + inner_bias, 0)
    scores = hidden @ outer + outer_bias
    scores -= scores.max(axis=1, keepdims=True)
    return hidden, scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def loss(layers: Layers, images: NDArray[np.float64], digits: NDArray[np.int64], decay: float = 0) -> float:
    """Mean negative log likelihood of the `digits`, in nats, and `decay` times half the squared weights."""
    _, logs = outputs(layers, images)
    weights = sum(float((layer**2).sum()) for layer in layers[::2])
    return float(-logs[np.arange(len(digits)), digits].mean()) + decay / 2 * weights


def gradient(
    layers: Layers, images: NDArray[np.float64], digits: NDArray[np.int64], decay: float
) -> list[NDArray[np.float64]]:
    """Differentiate `loss` with respect to every weight and bias, from the output back."""
    inner, _, outer, _ = layers
    hidden, logs = outputs(layers, images)
    error = (np.exp(logs) - np.eye(KINDS)[digits]) / len(digits)
    back = (error @ outer.T) * (hidden > 0)
    return [
        images.T @ back + decay * inner,
        back.sum(axis=0),
        hidden.T @ error + decay * outer,
        error.sum(axis=0),
    ]


def measured(layers: Layers, images: NDArray[np.float64], digits: NDArray[np.int64]) -> dict[str, float]:
    """Test the network; see `train`."""
    _, logs = outputs(layers, images)
    return {"loss": loss(layers, images, digits), "accuracy": float((logs.argmax(axis=1) == digits).mean())}


def save(file: Path, epoch: int, layers: Layers, steps: Layers) -> None:
    """Write beside, then rename: whoever is killed in between leaves the network of the epoch before."""
    beside = file.with_suffix(".part")
    with beside.open("wb") as stream:
        np.savez(stream, np.array(epoch), *layers, *steps)
    os.replace(beside, file)  # noqa: PTH105  (the name that says what counts)


def load(file: Path) -> tuple[int, Layers, Layers]:
    """Read what `save` wrote: the epoch, the layers, the last steps."""
    with np.load(file) as saved:
        epoch, *parts = (saved[name] for name in saved.files)
    return int(epoch), parts[:4], parts[4:]


@cache
def split() -> list[NDArray]:
    """Give 1 347 images (n, 64) for training and 450 for testing, pixels in [0, 1]; the digits of both."""
    images, digits = load_digits(return_X_y=True)
    return train_test_split(images / 16, digits, test_size=450, stratify=digits, random_state=0)
