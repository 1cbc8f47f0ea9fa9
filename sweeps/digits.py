"""Two classifiers of handwritten digits, each with hyperparameters of its own.

1 797 images of 8 by 8 pixels, which come with scikit-learn. Source: E. Alpaydin and C. Kaynak, Optical
Recognition of Handwritten Digits, UCI Machine Learning Repository (1998), doi 10.24432/C50P49 (its test set).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def train(
    model: str,
    seed: int,
    *,
    C: float | None = None,  # noqa: N803  (the name that the literature and scikit-learn use)
    gamma: float | None = None,
    trees: int | None = None,
    depth: int | None = None,
) -> dict[str, float]:
    """Train one classifier on three quarters of the images and test it on the rest.

    Parameters
    ----------
    model : {"svm", "forest"}
        A support vector machine with a Gaussian kernel, or a random forest.
    seed : int
        Decides the split, and the forest's randomness.
    C, gamma : float
        For "svm": the price of a misplaced image, and the kernel's inverse squared width (pixels in [0, 1]).
    trees, depth : int
        For "forest": the number of trees, and how many questions each may ask in a row.

    Returns
    -------
    dict
        ``accuracy``: share of the 450 test images that it names rightly; ``training_accuracy``: the same for
        the 1 347 images of the training.

    Raises
    ------
    ValueError
        For another `model`.
    """
    train_x, test_x, train_y, test_y = split(seed)
    if model == "svm":
        classifier = SVC(C=C, gamma=gamma)
    elif model == "forest":
        classifier = RandomForestClassifier(n_estimators=trees, max_depth=depth, random_state=seed, n_jobs=1)
    else:
        raise ValueError(f'model is {model!r}; expected "svm" or "forest"')
    classifier.fit(train_x, train_y)
    return {
        "accuracy": float(classifier.score(test_x, test_y)),
        "training_accuracy": float(classifier.score(train_x, train_y)),
    }


@cache
def split(seed: int) -> list[NDArray[np.float64]]:
    """Split the images, every digit in equal shares.

    Returns
    -------
    list of arrays
        Training images (1347, 64) and test images (450, 64), pixels in [0, 1]; the digits of both.
    """
    images, digits = load_digits(return_X_y=True)
    return train_test_split(images / 16, digits, test_size=450, stratify=digits, random_state=seed)
