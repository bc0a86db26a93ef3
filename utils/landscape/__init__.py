"""The landscape of the loss: random features, curvature, and where an optimizer's path ends."""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "features": [
            "RandomReLU",
            "SVDFit",
            "classification_error",
            "fit_classifier",
            "squared_error",
            "svd_fit",
        ],
        "curvature": [
            "half_squared_error",
            "inner",
            "outputs",
            "scaled",
            "sharpness",
            "tanh_networks",
        ],
    },
)
