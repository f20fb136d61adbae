"""Questions and answers written by teachers, and rated by them."""
