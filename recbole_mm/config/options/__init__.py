"""The options of this package: default, kinds, range and help of each stand together, in one table.

    option.py     one option
    overall.py    options of every run, by section
    models.py     options of each model, by section; options that models share are written once
    multimodal.py sections of the multimodal rankers in models.py
    table.py      looking an option up
    files.py      the yaml files that users read, written from the table

After a change of the table, ``python -m recbole_mm.config.options`` writes the yaml files again; a test fails until
that is done.
"""
