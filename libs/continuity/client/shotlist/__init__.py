"""Shot lists: read from YAML, JSON or CSV, checked against schema, vocabulary and each other."""

from continuity.client.shotlist.draft import Draft, read_draft, read_shot_list
from continuity.client.shotlist.model import Character, Film, Location, Scene, Shot, ShotList
from continuity.client.shotlist.problems import Problem, ShotListInvalid
from continuity.client.shotlist.refusals import told_in_list
from continuity.client.shotlist.render_options import Hires, Layout, Lora, RenderOptions, Source
from continuity.client.shotlist.size import Size

__all__ = [
    "Character",
    "Draft",
    "Film",
    "Hires",
    "Layout",
    "Location",
    "Lora",
    "Problem",
    "RenderOptions",
    "Scene",
    "Shot",
    "ShotList",
    "ShotListInvalid",
    "Size",
    "Source",
    "read_draft",
    "read_shot_list",
    "told_in_list",
]
