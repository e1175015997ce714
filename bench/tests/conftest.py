import sys
from pathlib import Path

for folder in ("instructions", "compare"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / folder))
