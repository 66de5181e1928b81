"""The commit of the sources."""

import subprocess

from weaver_tt.system.git import git_hash


def test_the_hash_of_a_changed_tree_ends_with_a_plus(tmp_path):
    def git(*words: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-qm", "one")
    assert git_hash(tmp_path) == git("rev-parse", "HEAD")
    (tmp_path / "file").write_text("two")
    assert git_hash(tmp_path) == git("rev-parse", "HEAD") + "+"


def test_outside_a_repository_there_is_no_hash(tmp_path):
    assert git_hash(tmp_path) is None
