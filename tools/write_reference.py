"""Write every generated page below docs/reference."""

from __future__ import annotations

from reference.pages import FOLDER, PAGES


def main() -> None:
    """Write what differs, and say so."""
    for name, page in PAGES.items():
        path, text = FOLDER / name, page()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"written: {path}")


if __name__ == "__main__":
    main()
