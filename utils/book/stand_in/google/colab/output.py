"""What of Colab's ``google.colab.output`` other packages call: anywidget does, to be shown."""

import os
from pathlib import Path


class _widgets:  # noqa: N801 (its name on Colab)
    """Where anywidget looks for the address of the widget manager that was asked for."""

    _installed_url = None


def enable_custom_widget_manager() -> None:
    """Write down that it was asked for: on Colab it lets widgets of other packages be shown."""
    with Path(os.environ["STAND_IN_LOG"]).open("a", encoding="utf-8") as log:
        log.write("enable_custom_widget_manager\n")
