"""Vector files from raw summaries and trailers: ``recbole-mm extract`` (docs/extract.md).

`text`, `audio` and `video` compute the numbers of a movie; `decode` reads media files; `fields` is the loop around
them: progress, resuming, skipping broken files, scaling and writing.
"""
