"""The course's figures: their style, and how a notebook keeps them."""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "style": [
            "COLORS",
            "CYCLE",
            "band",
            "figure",
            "mark_level",
            "mark_phases",
            "mark_threshold",
            "name_rows",
            "plain_ticks",
            "use_course_style",
        ],
        "vector": ["as_svg", "numbers"],
    },
)
