"""Manifests in files, folders and standard input, read once or followed.

A file that cannot be read keeps its last good content, an object that cannot be used its last good
version; what is wrong is a value beside the changes (:class:`Problem`), never an exception.
"""

from fairlead.sources.files.entry import Batch, Problem
from fairlead.sources.files.follow import follow
from fairlead.sources.files.source import FileSource

__all__ = ["Batch", "FileSource", "Problem", "follow"]
