"""A trained model in use: ratings, recommendations for anyone, reasons, genres, movies that nobody has rated."""
