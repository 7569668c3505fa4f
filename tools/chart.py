"""Writes the generated files of the Helm chart; a test compares them with what this would write."""

from __future__ import annotations

from pathlib import Path

from tenantry.install.chart import chart_files

CHART = Path(__file__).resolve().parent.parent / "deploy" / "chart" / "tenantry"


def main() -> None:
    """Write them all."""
    for name, text in chart_files().items():
        path = CHART / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


if __name__ == "__main__":
    main()
