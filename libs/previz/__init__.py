"""The storyboard composer: a shot's description and matted photographs in, a graded frame out.

Layout (numbers) and drawing (pixels) are apart: ``previz.layout`` places a pinhole camera and the figures over a ground
plane, ``previz.drawing`` paints what that camera sees. Nothing here knows of services, stores or servers.
"""

VERSION = "previz-1.2.0"
"""Changes whenever the bytes of any frame may change; part of what determines a keyframe."""
