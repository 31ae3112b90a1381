"""A digit of yours: from a picture to what NIST would have made of it."""
