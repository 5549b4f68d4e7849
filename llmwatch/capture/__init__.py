"""Python values to lines of JSON and back; what does not belong on a line goes to content-addressed files."""

from __future__ import annotations

from llmwatch.capture.decode import decode
from llmwatch.capture.encode import encode, encode_fields, encode_texts
from llmwatch.capture.media import Audio, Bytes, Media

__all__ = ["Audio", "Bytes", "Media", "decode", "encode", "encode_fields", "encode_texts"]
