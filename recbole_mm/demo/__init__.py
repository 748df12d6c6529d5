"""A local page on which a trained model is tried: the extra ``demo``, ``recbole-mm demo --checkpoint=…``."""
