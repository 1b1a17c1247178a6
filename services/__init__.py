"""The three services. They meet only through events."""
