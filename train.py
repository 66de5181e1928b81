"""Train, predict or export: ``python train.py --help``; the same as ``weaver-tt train``."""

from weaver_tt.cli import train

if __name__ == "__main__":
    raise SystemExit(train())
