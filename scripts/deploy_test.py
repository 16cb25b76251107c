import os
import shutil
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).parent
# Stands for every program: writes its name and arguments to a file, and answers what the script reads.
PROGRAM = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >>"$CALLS"
case "$(basename "$0") $*" in
"git rev-parse"*) echo 0123456789ab ;;
"sam build"*)
    mkdir -p .aws-sam/build/MigrateFunction
    touch .aws-sam/build/MigrateFunction/bootstrap
    printf 'Resources:\\n  A:\\n    Properties:\\n      Description: release none\\n' >.aws-sam/build/template.yaml ;;
"aws lambda invoke"*) echo "{}" >.aws-sam/migrate.json && echo "${MIGRATE_ERROR:-None}" ;;
"aws cloudformation"*ApiUrl*) echo https://api.example.com ;;
"aws cloudformation"*ConsoleUrl*) echo https://app.example.com ;;
esac
"""


class Deploy(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        (self.root / "bin").mkdir()
        (self.root / "scripts").mkdir()
        shutil.copy(SCRIPTS / "deploy.sh", self.root / "scripts")
        shutil.copy(SCRIPTS.parent / "samconfig.toml", self.root)
        programs = [self.root / "bin" / name for name in ("aws", "sam", "zip", "curl", "npm", "git")]
        programs += [self.root / "scripts" / f"{name}.sh" for name in ("fetch-libpdfium", "fetch-e5", "fetch-ocr", "deploy-console", "smoke")]
        for path in programs:
            path.write_text(PROGRAM, encoding="utf-8")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def deploy(self, *arguments, **environment):
        calls = self.root / "calls"
        calls.write_text("", encoding="utf-8")
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", self.root / "scripts/deploy.sh", *arguments], capture_output=True, text=True, check=False,
            env={**os.environ, "PATH": path, "CALLS": str(calls), **environment},
        )
        return done, [line for line in calls.read_text(encoding="utf-8").splitlines() if not line.startswith("git ")]

    def test_migrations_run_before_the_code_and_the_smoke_test_is_last(self):
        done, calls = self.deploy("prod", EDGE_SECRET="s" * 32, PERMISSIONS_BOUNDARY="arn:of:boundary")
        self.assertEqual(done.returncode, 0, done.stderr)
        names = [" ".join(call.split(" ")[:3]) for call in calls]
        self.assertEqual(names, [
            "fetch-libpdfium.sh arm64", "fetch-e5.sh ", "fetch-ocr.sh ", "sam build --config-env",
            "zip -q ../../migrate.zip", "aws lambda update-function-code", "aws lambda wait", "aws lambda invoke",
            "sam deploy --config-env", "deploy-console.sh prod", "aws cloudformation describe-stacks",
            "aws cloudformation describe-stacks", "smoke.sh https://api.example.com",
        ])
        deployed = next(call for call in calls if call.startswith("sam deploy"))
        for part in ("--config-env prod", "Environment=prod", "LogRetentionDays=90", "EdgeSecret=" + "s" * 32,
                     "PermissionsBoundary=arn:of:boundary"):
            self.assertIn(part, deployed)
        template = (self.root / ".aws-sam/build/template.yaml").read_text(encoding="utf-8")
        self.assertRegex(template, r"      Description: release 0123456789ab-\d{8}T\d{6}Z\n")

    def test_a_migration_that_fails_stops_the_deployment(self):
        done, calls = self.deploy("staging", MIGRATE_ERROR="Unhandled")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the code is not deployed", done.stderr)
        self.assertFalse([call for call in calls if call.startswith("sam deploy")])

    def test_a_rollback_runs_no_migrations_and_a_built_tree_is_not_built_again(self):
        self.deploy("staging")
        done, calls = self.deploy("staging", "--built", "--rollback")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse([call for call in calls if "lambda" in call or call.startswith("sam build")])
        self.assertTrue([call for call in calls if call.startswith("sam deploy")])

    def test_an_unknown_environment_and_a_missing_build_are_errors(self):
        self.assertEqual(self.deploy("production")[0].returncode, 2)
        done, calls = self.deploy("dev", "--built")
        self.assertEqual((done.returncode, calls), (1, []))


if __name__ == "__main__":
    unittest.main()
