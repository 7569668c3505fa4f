"""Write every generated page below docs/reference."""

from __future__ import annotations

from reference.pages import FOLDER, pages


def main() -> None:
    """Write what differs, and say so."""
    for name, text in pages().items():
        path = FOLDER / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"written: {path}")


if __name__ == "__main__":
    main()
