"""`python docs/pictures/make.py`: draw violation.png, the report of one violation as a browser shows it."""

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).with_name("violation.png")
SCENARIO = "stolen_lock_early_auth"
BROWSER = "/usr/bin/chromium"


def main() -> None:
    """Run the scenario on a mutant, open its report without a screen, and keep what is seen."""
    with tempfile.TemporaryDirectory() as folder:
        run = [sys.executable, "-m", "harness.cli", "run", "--target", "reference:keep_auth", "--select", SCENARIO]
        done = subprocess.run([*run, "--quiet"], cwd=folder, check=False, capture_output=True)  # noqa: S603 (our own)
        if done.returncode != 1:
            sys.exit(f"the run ended with {done.returncode}, not with the violation to be drawn")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER if Path(BROWSER).exists() else None)
            page = browser.new_page(viewport={"width": 1100, "height": 870}, color_scheme="light")
            page.goto((Path(folder) / "lockrace-out/report.html").as_uri())
            page.screenshot(path=PICTURE)
            browser.close()


if __name__ == "__main__":
    main()
