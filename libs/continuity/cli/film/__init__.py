"""From a shot list to a folder of keyframes."""
