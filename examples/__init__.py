"""Small applications that use millstream."""
