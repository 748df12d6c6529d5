"""A local web page to try a trained model: ``recbole-mm demo --checkpoint=…``, needs the extra ``demo``."""
