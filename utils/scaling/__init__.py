"""Scaling laws: fits with intervals, published laws, and sweeps that others have published."""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "laws": ["Law", "Optimum", "PowerLaw"],
        "power": ["fit_power_law"],
        "joint": ["LawFit", "fit_chinchilla", "fit_law", "profile_k"],
        "early_stop": ["fit_with_default_stop"],
        "resampling": ["Bootstrap", "bootstrap"],
        "isoflop": ["IsoFlopFit", "fit_isoflop", "isoflop_grid"],
        "published": [
            "BESIROGLU",
            "HOFFMANN",
            "HOFFMANN_UNROUNDED",
            "KAPLAN",
            "KaplanLaw",
            "PUBLISHED",
        ],
        "counting": ["non_embedding_frontier", "non_embedding_params", "total_params"],
        "sweeps": ["SWEEPS", "Forecast", "Sweep", "forecast_largest_budget", "published_sweep"],
    },
)
