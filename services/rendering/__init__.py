"""Render jobs: from submitted shots to stored keyframes."""
