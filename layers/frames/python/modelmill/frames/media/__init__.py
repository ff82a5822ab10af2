"""Images and audio: the files of an upload in; checked cells, facts, fingerprints and thumbnails out."""

from modelmill.frames.media.files import Kind, Media, MediaFile, find, kind_of

__all__ = ["Kind", "Media", "MediaFile", "find", "kind_of"]
