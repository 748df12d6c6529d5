"""A trained model behind HTTP: ``recbole-mm serve --model=…``, needs the extra ``serve``."""
