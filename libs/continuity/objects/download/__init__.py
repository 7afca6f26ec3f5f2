"""Large files of anybody's bucket into a folder: in pieces, going on where an earlier attempt has stopped."""
