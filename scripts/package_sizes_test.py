import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).parent / "package_sizes.py"


class Budget(unittest.TestCase):
    def run_in(self, files, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            for name, contents in files.items():
                path = Path(folder) / name / "bootstrap"
                path.parent.mkdir()
                path.write_bytes(contents)
            command = [sys.executable, SCRIPT, folder, *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_bytes_that_do_not_compress_count_and_zeros_do_not(self):
        done = self.run_in({"Small": bytes(2_000_000), "Large": os.urandom(1_100_000)}, "--budget", "1")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout.splitlines(), ["  1.10 MB  Large  over the budget", "  0.00 MB  Small"])
        self.assertEqual(done.stderr, "2 packages, 1 over 1 MB\n")

    def test_within_the_budget(self):
        self.assertEqual(self.run_in({"Large": os.urandom(1_100_000)}).returncode, 0)

    def test_a_folder_without_packages_is_an_error(self):
        self.assertEqual(self.run_in({}).returncode, 2)


if __name__ == "__main__":
    unittest.main()
