"""What the explorers share: the Python base class, joining modules, page elements and controls."""
