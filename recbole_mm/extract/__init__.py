"""Vector files from raw summaries and trailers: ``recbole-mm extract`` (docs/extract.md).

`text`, `audio` and `video` say what the numbers of a movie are; `decode` reads media files; `fields` is the loop around
them: progress, resuming, skipping of what is broken, scaling and writing.
"""
