"""Fails when a package that Kho needs at run time is under the GPL or AGPL, or says nothing of its licence."""

import json
import re
import subprocess
import sys
from pathlib import Path

FORBIDDEN = re.compile(r"\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)
LESSER = re.compile(r"LGPL|Lesser", re.IGNORECASE)


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    locked = {m[1] for m in re.finditer(r"^([a-z0-9-]+)==", (root / "requirements.lock").read_text(), re.MULTILINE)}
    listed = subprocess.run(
        [sys.executable, "-m", "piplicenses", "--format=json", "--from=mixed", "--with-system"], check=True, capture_output=True, text=True
    )
    packages = {p["Name"].lower().replace("_", "-").replace(".", "-"): p["License"] for p in json.loads(listed.stdout)}
    bad = {n: packages[n] for n in sorted(locked & set(packages)) if FORBIDDEN.search(packages[n]) and not LESSER.search(packages[n])}
    for name, licence in bad.items():
        sys.stderr.write(f"{name}: {licence} may not be in the runtime\n")
    sys.stdout.write(f"licences: {len(locked & set(packages))} runtime packages, {len(bad)} forbidden\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
