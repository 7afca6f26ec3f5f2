"""Shot lists: read from YAML, JSON or CSV, checked against schema, vocabulary and each other."""

from continuity.client.shotlist.model import Character, Film, Location, Scene, Shot, ShotList
from continuity.client.shotlist.problems import Problem, ShotListInvalid
from continuity.client.shotlist.reader import read_shot_list

__all__ = ["Character", "Film", "Location", "Problem", "Scene", "Shot", "ShotList", "ShotListInvalid", "read_shot_list"]
