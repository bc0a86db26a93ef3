"""The course's explorers: one ``.mjs`` and one Python class each.

The ``.mjs`` is an anywidget front-end module (AFM). It runs unchanged in JupyterLab, VS Code and Colab,
where the Python class drives it, and on the book's static pages, where ``book/_ext`` mounts it without a
kernel. Import a class from its own module, so that one widget does not pay for another's imports.
"""
