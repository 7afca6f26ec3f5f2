import sys
from pathlib import Path

# Test folders are no packages; this one's shared module is imported by its name.
sys.path.insert(0, str(Path(__file__).parent))
