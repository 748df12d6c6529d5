"""Data of other people: data frames, files and folders of other tools, to the files of a data set and back.

from_frames.py    data frames and arrays -> a data set
table_files.py    csv and parquet files; columns.py and genres.py say what is in them
vector_files.py   npy, npz, csv, parquet and folders of npy -> vectors with item ids
assemble.py       tables and vectors, checked -> `contents.Contents`
writer.py         `contents.Contents` -> the atomic files, the vectors and NAME.yaml
convert.py        a folder of another tool -> a data set; each tool has a module of its own
export.py         a data set -> a folder of MMRec, or parquet files
"""
