import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).parent / "release-notes.sh"
CHANGELOG = """# Changelog

## [Unreleased]

## [0.2.0] - 2026-11-30

### Added
- Two.

## [0.2.0-rc1] - 2026-11-29

- Candidate.

[0.2.0]: https://example.com
"""


class Notes(unittest.TestCase):
    def notes(self, version):
        with tempfile.NamedTemporaryFile("w", suffix=".md") as file:
            file.write(CHANGELOG)
            file.flush()
            environment = {**os.environ, "CHANGELOG": file.name}
            return subprocess.run(["bash", SCRIPT, version], capture_output=True, text=True, env=environment, check=False)

    def test_the_section_of_a_version_without_its_heading(self):
        self.assertEqual(self.notes("v0.2.0").stdout, "### Added\n- Two.\n")
        self.assertEqual(self.notes("0.2.0-rc1").stdout, "- Candidate.\n")

    def test_an_unknown_version_and_an_empty_section_are_errors(self):
        for version in ("0.3.0", "0.2", "Unreleased"):
            done = self.notes(version)
            self.assertEqual((done.returncode, done.stdout), (1, ""))


if __name__ == "__main__":
    unittest.main()
