"""The ray-traced world that the engines bodycam, film and twins film."""
